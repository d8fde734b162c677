// What tenants are promised together must be there.
import { describe, expect, it } from "vitest";
import { configOf, head, load, tenant } from "./fixture.js";

const two = (a: string, b: string) => ({
  "xgw.yaml": `${head}${tenant("a", 1, `limits: { ${a} }`)}${tenant("b", 2, `limits: { ${b} }`)}`,
});

describe("numbers of tenants", () => {
  const cases: readonly (readonly [string, number])[] = [
    ["flows", 524_288],
    ["templates", 32_768],
    ["rules", 12_288],
    ["eventsPerSecond", 16_384],
  ];
  for (const [resource, capacity] of cases) {
    it(`may come to all the ${resource} that there are to share out`, async () => {
      const { errors } = await load(two(`${resource}: ${capacity - 1}`, `${resource}: 1`));
      expect(errors).toEqual([]);
    });

    it(`may not come to more ${resource}: that is named where it becomes too much`, async () => {
      const { errors } = await load(two(`${resource}: ${capacity}`, `${resource}: 1`));
      expect(errors).toHaveLength(1);
      expect(errors[0]).toMatch(
        new RegExp(
          `^xgw.yaml:\\d+:\\d+: tenants\\[1\\].limits.${resource}: the tenants up to here are promised ${capacity + 1} ${resource}, and there are ${capacity} to share out; make them smaller`,
        ),
      );
    });
  }

  const ofGateway = (text: string, a: number, b: number) => {
    const { "xgw.yaml": whole } = two(`newPerSecond: ${a}`, `newPerSecond: ${b}`);
    return load({ "xgw.yaml": whole.replace("tenants:\n", `${text}tenants:\n`) });
  };

  it("may come to all the new connections that the gateway shares out, and not to more", async () => {
    const limits = "limits: { newPerSecond: 1000 }\n";
    expect((await ofGateway(limits, 999, 1)).errors).toEqual([]);
    const { errors } = await ofGateway(limits, 1000, 1);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(
      /tenants\[1\].limits.newPerSecond: the tenants up to here are promised 1001 newPerSecond, and there are 1000 to share out; make them smaller, or `limits.newPerSecond` of the gateway larger/,
    );
  });

  it("may come to any number of new connections where the gateway shares out none", async () => {
    expect((await ofGateway("", 4_000_000_000, 4_000_000_000)).errors).toEqual([]);
  });

  it("may come to any number of connections, as before", async () => {
    const { config } = await configOf(two("sessions: 4000000000", "sessions: 4000000000"));
    expect(config.tenants.map(({ limits }) => limits.sessions)).toEqual([4_000_000_000, 4_000_000_000]);
  });
});
