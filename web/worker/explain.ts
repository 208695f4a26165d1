// Looking into the model: its test, and where in a picture it looks.
import { fromData } from "../../engine/index.ts";
import { gradCam, heatMap, rawImage, type CamMethod, type DecodedImage } from "../../training/index.ts";
import { copyOf, pixelsOf, type PictureSource } from "./pictures.ts";
import { needData, needModel, type ExplainedModel, type State } from "./state.ts";
import { softmax, testModel, type TestReport, type TestWatch, type Unfit } from "./test.ts";

/** What is asked of a heat map. */
export interface HeatOptions {
  readonly layer: string;
  readonly method: CamMethod;
  /** Left out: the class that is predicted. */
  readonly classes?: readonly number[];
}

/** What the model makes of a picture. */
export interface Explanation {
  /** As the model saw it: of its size. */
  readonly picture: DecodedImage;
  /** Of each class, 0..1. */
  readonly probabilities: Float32Array;
  /** The classes that were asked for, and for each its heat, of the picture's size. */
  readonly classes: readonly number[];
  readonly heats: readonly DecodedImage[];
}

export function explainCalls(state: State) {
  return {
    /** Tests the model on the test images; null where that was overtaken by training, another model or other images. */
    testModel: (watch: TestWatch): Promise<TestReport | Unfit | null> => testModel(state, watch),

    /** Some of the test images. */
    testPictures(indices: readonly number[]): DecodedImage[] {
      const { test } = needData(state).raw;
      return indices.map((index) => copyOf(rawImage(test, index)));
    },

    /**
     * What the model makes of a picture, and where it looks for that.
     *
     * @throws Error of one line where there is no model, it is being trained, or the picture cannot be read
     */
    async explainPicture(source: PictureSource, options: HeatOptions): Promise<Explanation> {
      const explained = needModel(state);
      const picture = await pixelsOf(source, explained.settings.imageSize, state);
      return explained.use(() => explainPixels(explained, picture, options));
    },
  };
}

async function explainPixels(
  { model, settings }: ExplainedModel,
  picture: DecodedImage,
  { layer, method, classes }: HeatOptions,
): Promise<Explanation> {
  const { width, height } = picture;
  const images = fromData(normalise(picture.data, settings), [1, height, width, 3]);
  try {
    const maps = await gradCam(model, images, { layer, method, classes });
    const chosen = maps.classes[0];
    return {
      picture,
      probabilities: softmax(maps.logits[0]),
      classes: chosen,
      heats: chosen.map((_, k) => ({ width, height, data: heatMap(maps.map(0, k)) })),
    };
  } finally {
    images.dispose();
  }
}

/** Bytes as the model was trained to see them. */
const normalise = (bytes: Uint8Array, { mean, std }: ExplainedModel["settings"]): Float32Array =>
  Float32Array.from(bytes, (byte, i) => (byte / 255 - mean[i % 3]) / std[i % 3]);
