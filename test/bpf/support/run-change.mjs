// node run-change.mjs VERSION CONFIG COUNTS_SESSIONS [POINT]: makes the data path what the config says, by plan and execute, without the slow
// path, which not every kernel can do; dies at the point. Prints what it did and how many points there were.
const [version, configFile, countsSessions, point] = process.argv.slice(2);
const load = (name) => import(`${version}/src/${name}.js`);
const gateway = await load("gateway");
const { execute } = await load("execute");
const { settleOther } = await load("datapath/move");
const { fingerprintOf } = await load("datapath/objects");
const { Pins } = await load("datapath/pins");
const { loadConfig } = await load("config/load");
const { armCrash, crashPoints } = await load("crash");

const { config } = await loadConfig(configFile);
const plan = (config) => gateway.plan(config, countsSessions === "true");
const pins = new Pins(config.instance);
const slowPath = /^(rules|element|flowtable|rule-order|sysctl)/;
const steps = (whole) => whole.steps.filter(({ kind }) => !slowPath.test(kind));
if (point !== undefined) armCrash(Number(point));
const first = await plan(config);
settleOther(pins, fingerprintOf(first.constants));
const whole = await plan(config);
if (steps(whole).length > 0) await execute({ ...whole, steps: steps(whole) }, pins, false);
const left = steps(await plan(config)).map(({ kind }) => kind);
process.stdout.write(JSON.stringify({ done: steps(whole).map(({ kind }) => kind), left, points: crashPoints() }));
process.exit();
