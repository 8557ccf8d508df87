/** The sign beside a value that has grown old; the value itself is italic. */
export function Expired() {
  return (
    <span title="Expired: no newer value came when one was due" role="img" aria-label="expired">
      ◷{" "}
    </span>
  );
}
