// A shop that keeps its sessions in memory: who has no valid session is sent away, and a restart forgets everybody.
import { createServer } from "node:http";
import { randomUUID } from "node:crypto";

const carts = new Map(); // session → items

function session(request) {
  const found = /(?:^|; )session=([^;]+)/.exec(request.headers.cookie ?? "");
  return found && carts.has(found[1]) ? found[1] : null;
}

const server = createServer(async (request, response) => {
  let body = "";
  for await (const piece of request) body += piece;
  const answer = (status, content, headers = {}) => {
    const text = JSON.stringify(content);
    response.writeHead(status, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text), ...headers });
    response.end(text);
  };
  const known = session(request);
  if (request.url === "/login") {
    const made = randomUUID();
    carts.set(made, []);
    answer(200, { hello: JSON.parse(body).user }, { "Set-Cookie": `session=${made}; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax` });
  } else if (!known) {
    answer(401, { error: "log in first" }, { "WWW-Authenticate": 'Cookie realm="shop", cookie-name="session"' });
  } else {
    if (request.method === "POST") carts.get(known).push(JSON.parse(body).item);
    answer(request.method === "POST" ? 201 : 200, { items: carts.get(known) });
  }
});
server.listen(Number(process.argv[3]), process.argv[2]);
