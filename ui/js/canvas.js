/** Canvases in the screen's own pixels, so that lines are sharp on every screen. */

/**
 * Empty a canvas and fit it to the place that it has.
 * @param {HTMLCanvasElement} canvas
 * @returns {{ pen: CanvasRenderingContext2D, width: number, height: number, scale: number }} sizes in pixels of the
 *   screen, of which `scale` make one of the layout's
 */
export function cleared(canvas) {
  const scale = window.devicePixelRatio || 1;
  const width = Math.max(1, Math.round(canvas.clientWidth * scale));
  const height = Math.max(1, Math.round(canvas.clientHeight * scale));
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const pen = penOf(canvas);
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height, scale };
}

/**
 * What draws on a canvas. All are read back at times, so none is kept on the graphics card.
 * @param {HTMLCanvasElement} canvas
 */
export function penOf(canvas) {
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  if (pen === null) throw new Error("This browser draws nothing.");
  return pen;
}

/**
 * The page's accent colour where an element is.
 * @param {Element} element
 */
export function accentOf(element) {
  const style = getComputedStyle(element);
  return style.getPropertyValue("--color-accent").trim() || style.color;
}
