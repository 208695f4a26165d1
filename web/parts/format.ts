// Numbers as the page shows them.
export const percent = (share: number | null | undefined, digits = 1): string =>
  share === null || share === undefined ? "–" : `${(100 * share).toFixed(digits)} %`;

export const fixed = (value: number | null | undefined, digits = 4): string =>
  value === null || value === undefined ? "–" : value.toFixed(digits);

export const short = (value: number): string => String(Number(value.toPrecision(3)));

export const grouped = (count: number): string => count.toLocaleString("en-US");

export function bytes(count: number): string {
  const [unit, size] = count < 2 ** 30 ? ["MiB", 2 ** 20] : ["GiB", 2 ** 30];
  return `${(count / size).toFixed(count < 10 * size ? 1 : 0)} ${unit}`;
}

export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
