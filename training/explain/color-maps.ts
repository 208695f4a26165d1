// Colour maps: from a number to a colour, as tables of 256 RGB colours.

/** How heat becomes colour. `coolwarm` is for signed values: blue below the middle, red above. */
export const colorMapNames = ["jet", "viridis", "inferno", "turbo", "gray", "coolwarm"] as const;
export type ColorMap = (typeof colorMapNames)[number];

// Every fifth colour of the published tables as hexadecimal RGB, 0 to 255; the colours between are interpolated, to within one level.
// viridis and inferno: Smith, van der Walt and Firing (CC0). turbo: Mikhailov (Apache 2.0).
const VIRIDIS =
  "44015446085c471063481769481d6f482475472a7a46307e453781433d844142873f48893d4e8a3a538b38598c355e8d33638d31688e" +
  "2e6d8e2c718e2a768e297b8e27808e25848e23898e218e8d20928c1f978b1e9c891fa18821a58524aa8328ae802eb37c35b7793dbc74" +
  "46c06f50c46a5ac86465cb5e70cf577cd25089d54895d840a2da37b0dd2fbddf26cae11fd8e219e5e419f1e51dfde725";
const INFERNO =
  "00000402020c0504170a072210092d160b391e0c45260c512f0a5b380962400a67490b6a510e6c59106e61136e69166e71196e781c6d" +
  "801f6c88226a902568982766a02a63a82e5fb0315bb73557bf3952c63d4dcc4248d34743d94d3ddf5337e45a31e9612bed6925f1711f" +
  "f47918f78212f98b0bfa9407fb9d07fca60cfcb014fbba1ffac42af8cd37f6d746f4e156f2ea69f2f27df5f992fcffa4";
const TURBO =
  "30123b36215f3b2f803f3e9c424bb54559cb4666dd4773eb4680f6458cfd4099ff38a5fb2fb2f427bee91fc9dd1ad4d018ddc21ae4b6" +
  "22ebaa2ff19b3ff68a52fa7a65fd6979fe598bff4b9cfe40a9fb39b7f735c3f134d0ea34dbe236e5d938eecf3af5c53afaba39fdae35" +
  "fea130fe932afc8423f9751df46617ef5811e84b0ce14109d83706ce2d04c32503b71d02a916019b0f018b09027a0403";
/** The ends and the middle of Moreland's "smooth cool warm". */
const COOLWARM = "3b4cc0ddddddb40426";

const tables = new Map<ColorMap, Uint8Array>();

/**
 * The table of a colour map: [256, 3] bytes. Shared: don't write to it.
 *
 * @throws where there is no map of that name, naming those that are
 */
export function colorTable(name: ColorMap): Uint8Array {
  let table = tables.get(name);
  if (!table) {
    table = makeTable(name);
    tables.set(name, table);
  }
  return table;
}

function makeTable(name: ColorMap): Uint8Array {
  switch (name) {
    case "jet":
      return jet();
    case "viridis":
      return interpolated(VIRIDIS);
    case "inferno":
      return interpolated(INFERNO);
    case "turbo":
      return interpolated(TURBO);
    case "gray":
      return interpolated("000000ffffff");
    case "coolwarm":
      return interpolated(COOLWARM);
    default:
      throw new Error(`colour map "${String(name)}" is not known: choose ${colorMapNames.join(", ")}`);
  }
}

/** Octave's jet as OpenCV rounds it: halves to even, and one entry whose half is a hair too small in its table. */
function jet(): Uint8Array {
  const table = new Uint8Array(256 * 3);
  const level = (value: number): number => {
    const clamped = Math.min(255, Math.max(0, value));
    const rounded = Math.round(clamped);
    return clamped % 1 === 0.5 && rounded % 2 === 1 ? rounded - 1 : rounded;
  };
  for (let i = 0; i < 256; i++) {
    table[i * 3] = level(Math.min(4 * i - 382.5, 1147.5 - 4 * i));
    table[i * 3 + 1] = level(Math.min(4 * i - 127.5, 892.5 - 4 * i));
    table[i * 3 + 2] = level(Math.min(4 * i + 127.5, 637.5 - 4 * i));
  }
  table[159 * 3 + 2] = 1;
  return table;
}

/** A table between colours that stand at equal distances. */
function interpolated(colors: string): Uint8Array {
  const stops = Array.from({ length: colors.length / 2 }, (_, i) =>
    Number.parseInt(colors.slice(i * 2, i * 2 + 2), 16),
  );
  const intervals = stops.length / 3 - 1;
  return Uint8Array.from({ length: 256 * 3 }, (_, at) => {
    const place = (Math.floor(at / 3) / 255) * intervals;
    const stop = Math.min(intervals - 1, Math.floor(place));
    const low = stops[stop * 3 + (at % 3)];
    const high = stops[(stop + 1) * 3 + (at % 3)];
    return Math.round(low + (high - low) * (place - stop));
  });
}
