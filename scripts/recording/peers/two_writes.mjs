// A service that writes the head of its answer, and a moment later, sometimes more and sometimes less, all of the body.
import { createServer } from "node:http";
import { setTimeout as pause } from "node:timers/promises";

let count = 0;
const body = "A-1001,packed\n".repeat(1000);

const server = createServer(async (request, response) => {
  const text = request.url === "/picture" ? body.slice(0, 700) : body;
  response.writeHead(200, { "Content-Type": "text/csv", "Content-Length": text.length });
  response.flushHeaders();
  await pause(100 + (37 * ++count) % 120);
  response.end(text);
});
server.listen(Number(process.argv[3]), process.argv[2]);
