// Contour lines by marching squares.

/** The line where a grid of values, the lowest row first, crosses `level`, as an SVG path over a square from `-reach` to `reach`. */
export function contours(values, cells, level, reach) {
  const parts = [];
  const at = (place) => -reach + (2 * reach * (place + 0.5)) / cells;
  for (let row = 0; row + 1 < cells; row++) {
    for (let column = 0; column + 1 < cells; column++) {
      const first = row * cells + column;
      const corners = [first, first + 1, first + cells + 1, first + cells].map((place) => values[place] - level);
      const crossings = crossed(corners).map(([x, y]) => `${at(column + x).toFixed(4)} ${(-at(row + y)).toFixed(4)}`);
      for (let pair = 0; pair + 1 < crossings.length; pair += 2) parts.push(`M${crossings[pair]}L${crossings[pair + 1]}`);
    }
  }
  return parts.join("");
}

/** Where a cell's sides are crossed, in the unit square; corners run about it from the lower left. */
function crossed(corners) {
  const ends = [[0, 0], [1, 0], [1, 1], [0, 1]];
  const found = [];
  for (let side = 0; side < 4; side++) {
    const next = (side + 1) % 4;
    const [here, there] = [corners[side], corners[next]];
    if (here > 0 === there > 0) continue;
    const share = here / (here - there);
    found.push([0, 1].map((axis) => ends[side][axis] + share * (ends[next][axis] - ends[side][axis])));
  }
  return found;
}
