// node run-keep.mjs FILE POINT: keeps the change of the file that is on trial, and dies at the point.
const [file, point] = process.argv.slice(2);
const load = (name) => import(new URL(`../../../dist/src/${name}.js`, import.meta.url));
const { keep, trialFor } = await load("confirm/end");
const { armCrash } = await load("crash");

const trial = trialFor(file, undefined);
armCrash(Number(point));
await keep(trial);
