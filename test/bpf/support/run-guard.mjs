// node run-guard.mjs FILE POINT: guards the trial of the file, and dies at the point.
const [file, point] = process.argv.slice(2);
const load = (name) => import(new URL(`../../../dist/src/${name}.js`, import.meta.url));
const { guard } = await load("confirm/guard");
const { armCrash } = await load("crash");

armCrash(Number(point));
await guard(file, () => {});
