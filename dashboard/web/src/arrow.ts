/** Arrow IPC to typed arrays. Instants stay exact: their 64-bit values are taken as they lie in the buffers. */
import { tableFromIPC, type Table } from "@uwdata/flechette";

/** A value as the store has it, nothing rounded. A timestamp is its nanoseconds. */
export type Value = number | bigint | boolean | string | Uint8Array | null;

export interface Batch {
  mission: string;
  container: string;
  /** One row stands for many samples; a numeric parameter P then has the columns `P|min` and `P|max`. */
  summary: boolean;
  /** Recording positions [from, to) that the batch came from. */
  from: number;
  to: number;
  rows: number;
  time: BigInt64Array;
  ert: BigInt64Array;
  seq: Float64Array;
  /** Of the parameters, and of a summary's bands. */
  names: string[];
  /** Value of a column in a row; null where it has none. */
  value(name: string, row: number): Value;
  /** A column as numbers: booleans are 0 and 1, NaN where there is none. Null for text and for unknown names. */
  numbers(name: string): Float64Array | null;
}

export const fromBase64 = (text: string): Uint8Array => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

type Column = NonNullable<ReturnType<Table["getChild"]>>;

const EXTRACTION = { useBigInt: true } as const;

/**
 * The columns of a live table that are parameters, by name, and those of a summary's bands. A parameter may be called
 * like a column that isn't one, so those go by their places: time, ert, seq, in newer tables a digest of the packet,
 * and in a summary the count of its samples: `|count`, which no parameter can be called; of older servers `count`.
 */
function measured(table: Table, summary: boolean): Map<string, Column> {
  const names = table.names as string[];
  let first = 3;
  const fourth = table.schema.fields[first];
  if (fourth?.name === "digest" && isInt64(fourth.type)) first++;
  if (summary && !names.includes("|count") && names[first] === "count") first++;
  const found = new Map<string, Column>();
  for (let i = first; i < names.length; i++) if (names[i] !== "|count") found.set(names[i]!, table.getChildAt(i));
  return found;
}

const isInt64 = (type: object): boolean =>
  "bitWidth" in type && type.bitWidth === 64 && "signed" in type && type.signed === true;

/** Timestamps and other 64-bit integers without the detour over float64. Nulls read as zero. */
function instants(column: Column | null): BigInt64Array {
  const out = new BigInt64Array(column?.length ?? 0);
  let offset = 0;
  for (const part of column?.data ?? []) {
    const values = part.values;
    if (!(values instanceof BigInt64Array)) throw new TypeError("a time column must be 64 bits wide");
    out.set(values.subarray(0, part.length), offset);
    offset += part.length;
  }
  return out;
}

function toNumbers(column: Column | null): Float64Array | null {
  if (!column) return null;
  const out = new Float64Array(column.length);
  let row = 0;
  for (const part of column.data) {
    const direct = part.nullCount === 0 && part.values instanceof Float64Array;
    if (direct) out.set((part.values as Float64Array).subarray(0, part.length), row);
    else
      for (let i = 0; i < part.length; i++) {
        const value: unknown = part.at(i);
        if (typeof value === "string" || value instanceof Uint8Array) return null;
        out[row + i] = value === null || value === undefined ? NaN : Number(value);
      }
    row += part.length;
  }
  return out;
}

function isInstant(column: Column): boolean {
  return column.data.some((part) => part.values instanceof BigInt64Array) && "timezone" in column.type;
}

function exact(column: Column | null, row: number): Value {
  if (!column) return null;
  if (isInstant(column) && column.at(row) !== null) return instants(column)[row] ?? null;
  return (column.at(row) ?? null) as Value;
}

/** A live message's schema and record batch, each an encapsulated Arrow message. Throws on damaged octets. */
export function readBatch(
  schema: Uint8Array,
  body: Uint8Array,
  about: Pick<Batch, "mission" | "container" | "summary" | "from" | "to">,
): Batch {
  // Typed arrays over the octets need them to begin at a multiple of 8.
  const aligned = body.byteOffset % 8 === 0 ? body : body.slice();
  const table = tableFromIPC([schema, aligned], EXTRACTION);
  const columns = measured(table, about.summary);
  return {
    ...about,
    rows: table.numRows,
    time: instants(table.getChildAt(0)),
    ert: instants(table.getChildAt(1)),
    seq: toNumbers(table.getChildAt(2)) ?? new Float64Array(table.numRows),
    names: [...columns.keys()],
    value: (name, row) => exact(columns.get(name) ?? null, row),
    numbers: (name) => toNumbers(columns.get(name) ?? null),
  };
}

/** One parameter's rows of a history answer, in order of time. */
export interface HistoryRows {
  time: BigInt64Array;
  /** What the line goes through: the sample, the bucket's mean, or its last state. */
  line: Float64Array;
  low: Float64Array;
  high: Float64Array;
}

export interface History {
  /** The recording position up to which (exclusive) the answer is complete. */
  through: number;
  /** Bucket width in ns. */
  width: bigint;
  /** Length in ns of the roll-ups that it was made from in part; 0 where it was made from every sample. */
  rollup: bigint;
  parameters: Map<string, HistoryRows>;
}

/** Cuts the long table of `/history` into parameters; the table is ordered by parameter, then time. */
export function readHistory(ipc: Uint8Array): History {
  const table = tableFromIPC(ipc, EXTRACTION);
  const names = table.getChild("parameter");
  const time = instants(table.getChild("time"));
  const [min, mean, max, last] = ["min", "mean", "max", "last"].map(
    (name) => toNumbers(table.getChild(name)) ?? new Float64Array(table.numRows).fill(NaN),
  ) as [Float64Array, Float64Array, Float64Array, Float64Array];
  const changes = table.getChild("changes");
  const parameters = new Map<string, HistoryRows>();
  for (let start = 0; start < table.numRows;) {
    const name = String(names?.at(start));
    let stop = start + 1;
    while (stop < table.numRows && names?.at(stop) === name) stop++;
    const isState = changes?.at(start) !== null && changes?.at(start) !== undefined;
    const line = (isState ? last : mean).slice(start, stop);
    for (let i = 0; i < line.length; i++) if (Number.isNaN(line[i])) line[i] = last[start + i]!;
    parameters.set(name, {
      time: time.slice(start, stop),
      line,
      low: min.slice(start, stop),
      high: max.slice(start, stop),
    });
    start = stop;
  }
  const metadata = table.schema.metadata;
  return {
    through: Number(metadata?.get("through") ?? 0),
    width: BigInt(metadata?.get("width") ?? 0),
    rollup: BigInt(metadata?.get("rollup") ?? 0),
    parameters,
  };
}

export interface LatestRow {
  parameter: string;
  time: bigint;
  ert: bigint;
  last: number | null;
  text: string | null;
}

/** The rows of `/latest`. */
export function readLatest(ipc: Uint8Array): LatestRow[] {
  const table = tableFromIPC(ipc, EXTRACTION);
  const time = instants(table.getChild("time"));
  const ert = instants(table.getChild("ert"));
  const [names, last, text] = ["parameter", "last", "text"].map((name) => table.getChild(name));
  return Array.from({ length: table.numRows }, (_, row) => ({
    parameter: String(names?.at(row)),
    time: time[row]!,
    ert: ert[row]!,
    last: (last?.at(row) as number | null | undefined) ?? null,
    text: (text?.at(row) as string | null | undefined) ?? null,
  }));
}
