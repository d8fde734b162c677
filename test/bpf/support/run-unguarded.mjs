// node run-unguarded.mjs COPY FILE: puts the copy on trial where the guard cannot be started. Prints why not.
const [copy, file] = process.argv.slice(2);
const load = (name) => import(new URL(`../../../dist/src/${name}.js`, import.meta.url));
const { tryByDaemon } = await load("confirm/begin");
const { findDaemon } = await load("daemon-socket");

const { report } = await findDaemon(file, undefined);
const program = ["sh", "-c", "echo no guard today >&2; exit 3", "sh"];
await tryByDaemon(report, copy, { seconds: 60, waitMs: 1000, program }).catch(({ message }) => console.log(message));
