// The first principal component of a layer's activations.
const ITERATIONS = 2000;
/** Of the vector's change in a step; its error is larger by 1 / (1 - ratio of the two largest eigenvalues). */
const ENOUGH = 1e-13;

/**
 * The projection of each row of `values` [rows, columns], columns centred, onto the first right-singular vector: [rows]. An SVD leaves
 * the sign open (libraries differ); here the end that lies further from zero is positive, so that the map shows what stands out.
 */
export function mainComponent(values: ArrayLike<number>, columns: number): Float64Array {
  const rows = values.length / columns;
  const centred = centre(values, rows, columns);
  // The Gram matrix of the shorter side has the same largest eigenvalue, and one more product gives the projection.
  const byRows = rows <= columns;
  const vector = mainVector(gram(centred, rows, columns, byRows), Math.min(rows, columns));
  const projection = byRows ? scaled(vector, centred, rows, columns) : times(centred, vector, rows, columns);
  const furthest = projection.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0);
  return furthest < 0 ? projection.map((value) => -value) : projection;
}

function centre(values: ArrayLike<number>, rows: number, columns: number): Float64Array {
  const means = new Float64Array(columns);
  for (let i = 0; i < values.length; i++) means[i % columns] += values[i] / rows;
  return Float64Array.from({ length: values.length }, (_, i) => values[i] - means[i % columns]);
}

/** X Xᵀ or Xᵀ X. */
function gram(x: Float64Array, rows: number, columns: number, byRows: boolean): Float64Array {
  const size = byRows ? rows : columns;
  const terms = byRows ? columns : rows;
  const [across, along] = byRows ? [columns, 1] : [1, columns];
  const result = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = 0; k < terms; k++) sum += x[i * across + k * along] * x[j * across + k * along];
      result[i * size + j] = result[j * size + i] = sum;
    }
  }
  return result;
}

/** The eigenvector of the largest eigenvalue, by power iteration from a fixed start; zeros where the matrix is zero. */
function mainVector(matrix: Float64Array, size: number): Float64Array {
  // Any start will do that is at a right angle to no likely component.
  let vector = unit(Float64Array.from({ length: size }, (_, i) => (((i + 1) * 0.6180339887) % 1) - 0.5));
  for (let i = 0; i < ITERATIONS; i++) {
    const next = unit(times(matrix, vector, size, size));
    const change = next.reduce((most, value, j) => Math.max(most, Math.abs(value - vector[j])), 0);
    vector = next;
    if (change < ENOUGH) break;
  }
  return vector;
}

/** X v [rows] */
function times(x: Float64Array, v: Float64Array, rows: number, columns: number): Float64Array {
  const result = new Float64Array(rows);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) result[i] += x[i * columns + j] * v[j];
  }
  return result;
}

/** A left-singular vector, as long as the projection: times its singular value, |Xᵀ u|. */
function scaled(u: Float64Array, x: Float64Array, rows: number, columns: number): Float64Array {
  const along = new Float64Array(columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) along[j] += x[i * columns + j] * u[i];
  }
  const length = Math.sqrt(along.reduce((sum, value) => sum + value ** 2, 0));
  return u.map((value) => value * length);
}

function unit(vector: Float64Array): Float64Array {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value ** 2, 0));
  return length === 0 ? vector : vector.map((value) => value / length);
}
