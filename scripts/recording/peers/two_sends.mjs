// Posts readings as many programs do: the head goes out at once, the body when it is ready. First with Nagle's algorithm on,
// then with TCP_NODELAY, as Node.js does unless it is told otherwise.
import http from "node:http";

const url = process.argv[2];

function post(agent, number) {
  return new Promise((resolve, reject) => {
    const body = JSON.stringify({ sensor: "s-17", reading: number, celsius: 20 + number / 10 });
    const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) };
    const request = http.request(url, { method: "POST", agent, headers }, (response) => {
      response.resume().on("end", resolve);
    });
    request.on("error", reject);
    request.flushHeaders(); // one send
    setImmediate(() => request.end(body)); // another
  });
}

for (const noDelay of [false, true]) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1, noDelay });
  for (let number = 1; number <= 6; number++) await post(agent, number);
  agent.destroy();
}
