// Images: from base64 to numbers, and from numbers to a canvas.

export function bytesOf(text) {
  const letters = atob(text);
  return Uint8Array.from({ length: letters.length }, (_, place) => letters.charCodeAt(place));
}

export const floatsOf = (text) => new Float32Array(bytesOf(text).buffer);

export function base64Of(numbers) {
  const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  let letters = "";
  for (const byte of bytes) letters += String.fromCharCode(byte);
  return btoa(letters);
}

/** Pixels of a channel-first image as `ImageData`; `at(place)` gives the brightness, 0 to 255, of an entry. */
export function imageData([channels, height, width], at) {
  const data = new ImageData(width, height);
  const area = height * width;
  for (let pixel = 0; pixel < area; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      data.data[4 * pixel + channel] = at((channels === 3 ? channel : 0) * area + pixel);
    }
    data.data[4 * pixel + 3] = 255;
  }
  return data;
}

/** Draw bytes on a canvas, one canvas pixel for each. */
export function draw(canvas, bytes, shape, from = 0) {
  const [, height, width] = shape;
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(imageData(shape, (place) => bytes[from + place]), 0, 0);
}

/** A canvas that shows bytes, described for those who do not see it. */
export function picture(bytes, shape, description) {
  const canvas = document.createElement("canvas");
  canvas.className = "picture";
  if (description) {
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", description);
  } else {
    canvas.setAttribute("aria-hidden", "true");
  }
  draw(canvas, bytes, shape);
  return canvas;
}

/** Numbers from a normal distribution, the same for the same seed. */
export function gaussians(count, seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (((mixed ^ (mixed >>> 14)) >>> 0) + 0.5) / 4294967296;
  };
  return Float32Array.from({ length: count }, () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
}
