// node run-following.mjs FILE: a daemon that follows its file and trials of it, and answers, on kernels where none can run: it puts
// nothing in force. Prints a line for each config that it takes: the first tenant's first inbound rule's ports.
const [file] = process.argv.slice(2);
const load = (name) => import(new URL(`../../../dist/src/${name}.js`, import.meta.url));
const { configFile } = await load("daemon/config-source");
const { DaemonRecord } = await load("daemon/record");
const { answerAs } = await load("daemon-socket");

const record = new DaemonRecord();
const source = configFile(file);
let instance;
const take = async (why) => {
  const { config, trial } = await source.load(why);
  instance = config.instance;
  record.applied(trial);
  const [{ ports }] = config.tenants[0].policy.inbound;
  process.stdout.write(`${ports.map(({ from }) => from)}\n`);
};
await answerAs(file, () => {
  const report = record.report();
  return { ...report, instance, config: { ...report.config, file } };
});
let last = Promise.resolve();
source.watch((why) => {
  last = last.then(() => take(why));
});
await take("start");
