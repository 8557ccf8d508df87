import { expect, test } from "vitest";
import type { Parameter } from "../src/model";
import { Series } from "../src/series";
import { csv } from "../src/table";

const T = 1_852_422_500_000_000_001n;

function loaded(times: bigint[], line: number[], low = line, high = line): Series {
  const series = new Series("C", "p", 0n);
  const columns = { line: Float64Array.from(line), low: Float64Array.from(low), high: Float64Array.from(high) };
  series.load({ time: BigInt64Array.from(times), ...columns }, 9);
  return series;
}

const parameter = { name: "C/p", unit: 'm, "net"' } as Parameter;

test("what is shown leaves exactly: half-open window, whole nanoseconds, shortest decimals", () => {
  const series = loaded([T - 1n, T, T + 1n, T + 2n], [1, 0.1, -0, 4], [1, 0, -1, 4], [1, 0.5, NaN, 4]);
  expect(csv([parameter], [series], [T, T + 2n], true)).toBe(
    [
      "time,ns,parameter,unit,value,minimum,maximum",
      `2028-09-13T01:48:20.000000001Z,${T},C/p,"m, ""net""",0.1,0,0.5`,
      `2028-09-13T01:48:20.000000002Z,${T + 1n},C/p,"m, ""net""",-0,-1,`,
      "",
    ].join("\n"),
  );
});

test("an onboard clock without a known epoch has no calendar", () => {
  const [, line] = csv([parameter], [loaded([5n], [2])], [0n, 6n], false).split("\n");
  expect(line).toMatch(/^,5,C\/p,/);
});
