/** Names of languages that browsers do not know and embedded voices speak, in the page's languages. */

import { remembering } from "./common.js";

/** @type {Record<string, Record<string, string>>} */
const RARE = {
  en: {
    ba: "Bashkir",
    bpy: "Bishnupriya Manipuri",
    cv: "Chuvash",
    grc: "Ancient Greek",
    hak: "Hakka Chinese",
    hyw: "Western Armenian",
    io: "Ido",
    jbo: "Lojban",
    kl: "Greenlandic",
    lfn: "Lingua Franca Nova",
    ltg: "Latgalian",
    mto: "Totontepec Mixe",
    nci: "Classical Nahuatl",
    nog: "Nogai",
    pap: "Papiamento",
    py: "Pyash",
    qdb: "Lang Belta",
    quc: "K’iche’",
    qya: "Quenya",
    shn: "Shan",
    sjn: "Sindarin",
    smj: "Lule Sami",
    tlh: "Klingon",
  },
  de: {
    ba: "Baschkirisch",
    bpy: "Bishnupriya",
    cv: "Tschuwaschisch",
    grc: "Altgriechisch",
    hak: "Hakka-Chinesisch",
    hyw: "Westarmenisch",
    kl: "Grönländisch",
    ltg: "Lettgallisch",
    mto: "Totontepec-Mixe",
    nci: "Klassisches Nahuatl",
    nog: "Nogaisch",
    smj: "Lulesamisch",
    tlh: "Klingonisch",
  },
  fr: {
    ba: "bachkir",
    bpy: "bishnupriya",
    cv: "tchouvache",
    grc: "grec ancien",
    hak: "hakka",
    hyw: "arménien occidental",
    io: "ido",
    jbo: "lojban",
    kl: "groenlandais",
    ltg: "latgalien",
    mto: "mixe de Totontepec",
    nci: "nahuatl classique",
    nog: "nogaï",
    qdb: "lang belta",
    shn: "shan",
    smj: "same de Lule",
    tlh: "klingon",
  },
};

/**
 * Make the function that names languages in the page's language; one that nobody can name stays a tag.
 * @param {string} locale
 * @returns {import("./voice_facts.js").LanguageName}
 */
export function languageNames(locale) {
  const names = new Intl.DisplayNames([locale], { type: "language", fallback: "none" });
  const rare = RARE[locale.split("-")[0]];
  return remembering((tag) => {
    try {
      return names.of(tag.replaceAll("_", "-")) ?? rare?.[tag] ?? RARE.en[tag] ?? tag;
    } catch {
      return tag;
    }
  });
}
