/** Upload of a voice: its two files, in pieces that the server takes. */

import { requestJson } from "./common.js";
import { voiceDirectory } from "./voice_directory.js";

/**
 * @callback OnStep
 * @param {string} file
 * @param {number} share percent of it that was sent
 * @param {boolean} isLast whether the rest of it is being sent, and checked
 */

/**
 * The two files of a voice, the model last. The JSON file is uploaded under the model's name, whatever its own is.
 * @param {File[]} chosen
 * @returns {[name: string, file: File][] | null}
 */
export function modelAndConfig(chosen) {
  const model = chosen.find((file) => file.name.endsWith(".onnx"));
  const config = chosen.find((file) => file.name.endsWith(".json"));
  if (!model || !config || chosen.length !== 2) return null;
  return [
    [`${model.name}.json`, config],
    [model.name, model],
  ];
}

/**
 * Upload files one after the other.
 * @param {[name: string, file: File][]} chosen
 * @param {string} path of the server's voices
 * @param {OnStep} onStep
 * @returns {Promise<string>} the name of the voice
 */
export async function uploadVoice(chosen, path, onStep) {
  let answer = null;
  for (const [name, file] of chosen) {
    const place = `${path}/upload/${encodeURIComponent(name)}`;
    answer = await send(file, place, (share, isLast) => onStep(name, share, isLast));
  }
  return answer.voice;
}

/**
 * Upload a file in pieces.
 * @param {File} file
 * @param {string} path
 * @param {(share: number, isLast: boolean) => void} onStep
 * @returns {Promise<any>} the server's answer to the last piece
 */
async function send(file, path, onStep) {
  for (let start = 0; ; ) {
    const end = Math.min(start + voiceDirectory.view.piece_bytes, file.size);
    onStep(file.size ? Math.floor((100 * start) / file.size) : 0, end >= file.size);
    /** @type {Record<string, string>} */
    const headers = file.size ? { "Content-Range": `bytes ${start}-${end - 1}/${file.size}` } : {};
    const answer = await requestJson(path, { headers, body: file.slice(start, end) });
    start = end;
    if (start >= file.size) return answer;
  }
}
