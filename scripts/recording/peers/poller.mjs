// Asks for the state of an order twice a second until it is delivered; says what it knows already (If-None-Match).
import { setTimeout as pause } from "node:timers/promises";

const url = process.argv[2];
let tag = "", state = "";

while (true) {
  const response = await fetch(url, { headers: tag ? { "If-None-Match": tag } : {} });
  tag = response.headers.get("etag");
  const text = await response.text();
  if (response.status === 200) state = JSON.parse(text).state;
  console.log(response.status, state);
  if (state === "delivered") break;
  await pause(500);
}
