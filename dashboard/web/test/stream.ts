/** Arrow streams as the server would send them. */
import * as arrow from "@uwdata/flechette";

const NS = arrow.timestamp(arrow.TimeUnit.NANOSECOND, "UTC");

/** Columns with exact 64-bit times: the builder takes timestamps as float milliseconds, which can't hold them. */
export function table(columns: Record<string, arrow.Column<unknown>>, metadata?: Map<string, string>): Uint8Array {
  const built = arrow.tableFromColumns(columns as Parameters<typeof arrow.tableFromColumns>[0]);
  if (metadata) Object.assign(built.schema, { metadata });
  return arrow.tableToIPC(built, { format: "stream" })!;
}

export function times(...ns: bigint[]): arrow.Column<unknown> {
  const column = arrow.columnFromArray(BigInt64Array.from(ns), arrow.int64());
  Object.assign(column, { type: NS });
  for (const part of column.data) Object.assign(part, { type: NS });
  return column as arrow.Column<unknown>;
}

/** Cuts a stream into its schema message and its first record batch message. */
export function messages(stream: Uint8Array): [Uint8Array, Uint8Array] {
  const view = new DataView(stream.buffer, stream.byteOffset);
  const end = 8 + view.getInt32(4, true);
  return [stream.slice(0, end), stream.slice(end)];
}
