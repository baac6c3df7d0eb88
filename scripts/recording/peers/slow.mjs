// A service whose answers take time: one at once, one that is worked out before it begins, one that is written as it is made.
import { createServer } from "node:http";
import { setTimeout as pause } from "node:timers/promises";

const lines = (from, to) => Array.from({ length: to - from }, (_, n) => `A-${from + n},packed\n`).join("");

const server = createServer(async (request, response) => {
  const json = (content) => {
    const text = JSON.stringify(content);
    response.writeHead(200, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) });
    response.end(text);
  };
  if (request.url === "/orders/A-1001") {
    json({ order: "A-1001", state: "packed" });
  } else if (request.url === "/statistics") {
    await pause(1500); // a query without an index
    json({ orders: 4711, average: 31.5 });
  } else {
    const parts = [1, 2, 3, 4].map((n) => lines(1000 * n, 1000 * n + 25));
    response.writeHead(200, { "Content-Type": "text/csv", "Content-Length": parts.join("").length });
    for (const part of parts) {
      response.write(part);
      await pause(400); // the next rows
    }
    response.end();
  }
});
server.listen(Number(process.argv[3]), process.argv[2]);
