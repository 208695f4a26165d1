// How the report writes numbers.
export const percent = (share: number, digits = 2): string => `${(100 * share).toFixed(digits)} %`;

export const grouped = (count: number): string => count.toLocaleString("en-US");

export const loss = (value: number | null | undefined): string =>
  value === null || value === undefined ? "–" : value.toFixed(4);

export const accuracy = (value: number | null | undefined): string =>
  value === null || value === undefined ? "–" : percent(value);

/** Images a second; 0 is of an epoch that a resumed run only had to evaluate. */
export const speed = (imagesPerSecond: number): string =>
  imagesPerSecond === 0 ? "–" : grouped(Math.round(imagesPerSecond));

export function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${grouped(count)} ${count === 1 ? one : many}`;

/** Where a model has more outputs than there are classes they have no names. */
export const className = (classes: readonly string[], label: number): string => classes[label] ?? `output ${label}`;
