/** Canvas sizing in device pixels, so that lines are sharp on every screen. */

/**
 * Clear a canvas and fit it to its size in device pixels.
 * @param {HTMLCanvasElement} canvas
 * @returns {{ pen: CanvasRenderingContext2D, width: number, height: number, scale: number }} sizes in pixels of the
 *   screen, of which `scale` make one of the layout's
 */
export function prepareCanvas(canvas) {
  const scale = window.devicePixelRatio || 1;
  const width = Math.max(1, Math.round(canvas.clientWidth * scale));
  const height = Math.max(1, Math.round(canvas.clientHeight * scale));
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const pen = drawingContext(canvas);
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height, scale };
}

/**
 * The 2D context of a canvas. Some are read back, so all are kept off the graphics card.
 * @param {HTMLCanvasElement} canvas
 */
export function drawingContext(canvas) {
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  if (pen === null) throw new Error("This browser has no 2D canvas.");
  return pen;
}

/**
 * The accent colour in force at an element.
 * @param {Element} element
 */
export function accentColour(element) {
  const style = getComputedStyle(element);
  return style.getPropertyValue("--color-accent").trim() || style.color;
}
