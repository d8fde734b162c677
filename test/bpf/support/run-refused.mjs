// Listens as somebody whom netfilter tells nothing, says why not, and ends when nothing is left open.
const { monitorKernel } = await import(new URL("../../../dist/src/kernel/monitor.js", import.meta.url).href);

try {
  monitorKernel(
    () => {},
    () => {},
  );
} catch (error) {
  console.log(error.code);
}
