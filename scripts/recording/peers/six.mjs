// A page with many pictures: as a browser does, at most six connections, kept open.
import http from "node:http";

const agent = new http.Agent({ keepAlive: true, maxSockets: 6 });
const get = (url) =>
  new Promise((resolve, reject) => http.get(url, { agent }, (r) => r.resume().on("end", resolve)).on("error", reject));

await Promise.all(Array.from({ length: 18 }, () => get(process.argv[2])));
agent.destroy();
