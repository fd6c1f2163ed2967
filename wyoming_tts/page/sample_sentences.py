"""Sample sentences: one for each language of the catalogue, to try a voice with."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from wyoming_tts.languages import lookup

_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "ar": "صباح الخير، الضوء في المطبخ مضاء.",
        "bg": "Добро утро, лампата в кухнята свети.",
        "bn": "সুপ্রভাত, রান্নাঘরের আলো জ্বলছে।",
        "ca": "Bon dia, el llum de la cuina està encès.",
        "cs": "Dobré ráno, světlo v kuchyni svítí.",
        "cy": "Bore da, mae golau'r gegin ymlaen.",
        "da": "Godmorgen, lyset i køkkenet er tændt.",
        "de": "Guten Morgen, das Licht in der Küche ist an.",
        "el": "Καλημέρα, το φως στην κουζίνα είναι αναμμένο.",
        "en": "Good morning, the light in the kitchen is on.",
        "es": "Buenos días, la luz de la cocina está encendida.",
        "et": "Tere hommikust, köögis põleb tuli.",
        "eu": "Egun on, sukaldeko argia piztuta dago.",
        "fa": "صبح بخیر، چراغ آشپزخانه روشن است.",
        "fi": "Hyvää huomenta, keittiön valo on päällä.",
        "fr": "Bonjour, la lumière de la cuisine est allumée.",
        "he": "בוקר טוב, האור במטבח דולק.",
        "hi": "सुप्रभात, रसोई की बत्ती जली हुई है।",
        "hu": "Jó reggelt, a konyhában ég a villany.",
        "hy": "Բարի լույս, խոհանոցի լույսը միացված է։",
        "id": "Selamat pagi, lampu dapur menyala.",
        "is": "Góðan daginn, ljósið í eldhúsinu er kveikt.",
        "it": "Buongiorno, la luce in cucina è accesa.",
        "ja": "おはようございます。台所の明かりがついています。",
        "ka": "დილა მშვიდობისა, სამზარეულოში შუქი ანთია.",
        "kk": "Қайырлы таң, ас үйде шам жанып тұр.",
        "ko": "좋은 아침입니다. 부엌에 불이 켜져 있습니다.",
        "ku": "Beyanî baş, ronahiya metbexê vêketî ye.",
        "lb": "Gudde Moien, d'Luucht an der Kichen ass un.",
        "lv": "Labrīt, gaisma virtuvē ir ieslēgta.",
        "ml": "സുപ്രഭാതം, അടുക്കളയിലെ വിളക്ക് തെളിഞ്ഞിരിക്കുന്നു.",
        "mr": "सुप्रभात, स्वयंपाकघरातील दिवा चालू आहे.",
        "ne": "शुभ प्रभात, भान्साको बत्ती बलेको छ।",
        "nl": "Goedemorgen, het licht in de keuken is aan.",
        "no": "God morgen, lyset på kjøkkenet er på.",
        "pl": "Dzień dobry, światło w kuchni jest włączone.",
        "pt": "Bom dia, a luz da cozinha está acesa.",
        "ro": "Bună dimineața, lumina din bucătărie este aprinsă.",
        "ru": "Доброе утро, свет на кухне включён.",
        "sk": "Dobré ráno, svetlo v kuchyni svieti.",
        "sl": "Dobro jutro, luč v kuhinji je prižgana.",
        "sq": "Mirëmëngjes, drita në kuzhinë është ndezur.",
        "sr": "Добро јутро, светло у кухињи је упаљено.",
        "sv": "God morgon, ljuset i köket är tänt.",
        "sw": "Habari za asubuhi, taa ya jikoni inawaka.",
        "te": "శుభోదయం, వంటగదిలో దీపం వెలుగుతోంది.",
        "th": "สวัสดีตอนเช้า ไฟในครัวเปิดอยู่",
        "tr": "Günaydın, mutfağın ışığı açık.",
        "uk": "Доброго ранку, світло на кухні увімкнене.",
        "ur": "صبح بخیر، باورچی خانے کی بتی جل رہی ہے۔",
        "vi": "Chào buổi sáng, đèn trong bếp đang sáng.",
        "zh": "早上好，厨房的灯开着。",
    }
)


def sample_sentence(language: str) -> str:
    """Return the sentence for a tag such as `en_US`; without one, digits, which most voices can read."""
    return lookup(_SENTENCES, language) or "1, 2, 3, 4, 5."
