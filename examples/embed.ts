// xgw inside a program of one's own: a gateway whose tenants come from elsewhere, such as a database. Run it as root, in the
// network namespace that has eth0: node embed.js. See docs/embedding.md.
import { ConfigError, type ConfigInput, formatProblem, Gateway, XgwError } from "xgw";

const config: ConfigInput = {
  apiVersion: "xgw/v1",
  instance: "gw1",
  underlay: { device: "eth0", address: "172.168.0.1" },
  tenants: [
    {
      name: "user1",
      key: 1000,
      addresses: ["10.0.0.1/24"],
      routes: [{ to: "10.0.0.7/32", via: "172.168.0.11" }],
      publicIps: [{ address: "2.2.2.11", to: "10.0.0.7" }],
      policy: { inbound: [{ allow: "tcp", ports: [22] }, { allow: "icmp" }] },
    },
  ],
};

const gateway = new Gateway(config);
gateway.on("reconciled", ({ reason, steps, tookMs }) =>
  console.log(`${reason}: ${steps.length} steps in ${tookMs} ms`),
);
gateway.on("refused", ({ error }) => console.error(`config not taken: ${error.message}`));
gateway.on("repaired", ({ noticed, tookMs }) => console.log(`${noticed.join(", ")}: repaired in ${tookMs} ms`));

const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());
process.once("SIGINT", () => stop.abort());

try {
  const { lines } = await gateway.plan();
  console.log(lines.join("\n"));
  await gateway.run({ signal: stop.signal });
} catch (error) {
  if (error instanceof ConfigError) console.error(error.problems.map((problem) => formatProblem(problem)).join("\n"));
  else if (error instanceof XgwError) console.error(`${error.message}; ${error.remedy ?? ""}`);
  else throw error;
  process.exitCode = error.exitCode;
}
