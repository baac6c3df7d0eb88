// A client of HTTP/2 that reads late, gives a stream up, and says goodbye.
import http2 from "node:http2";
import { setTimeout as pause } from "node:timers/promises";

const session = http2.connect(process.argv[2]);
const slow = session.request({ ":path": process.argv[3] });
slow.pause();
await pause(600); // the window of 65,535 bytes is full long before
await new Promise((resolve) => slow.resume().on("end", resolve));

const unwanted = session.request({ ":path": process.argv[3] });
await new Promise((resolve) => unwanted.once("response", resolve));
unwanted.close(http2.constants.NGHTTP2_CANCEL);
await new Promise((resolve) => unwanted.once("close", resolve));
session.close();
