"""Letters of names that are written in more than one form: 髙 and 高, 﨑 and 崎, 德 and 徳.

In: a text. Out: whether such forms stand in it, and the text in today's usual forms. The pairs are those of 常用漢字表
(Cabinet notice of 2010), of 戸籍法施行規則 別表第二, and the forms of 戸籍統一文字 and JIS X 0213 that are frequent in
family names, as cjkvi-variants lists them. NFKC knows none of them: it joins compatibility forms alone. Two usual forms
are never one (斉 and 斎).
"""

import re

_VARIANTS = (
    "亞惡壓圍醫爲壹隱榮營衞驛圓鹽緣艷應歐毆櫻奧橫溫穩假價畫會繪壞懷槪擴殼覺學嶽樂渴罐卷陷勸寬關歡觀氣歸龜"
    "僞戲犧舊據擧虛峽挾狹鄕曉區驅勳薰徑莖惠揭溪經螢輕繼鷄藝擊缺硏縣儉劍險圈檢獻權顯驗嚴廣效恆黃鑛號國黑碎"
    "濟齋劑雜參棧蠶慘贊殘絲齒兒辭濕實寫釋壽收從澁獸縱肅處緖敍將稱涉燒證奬條狀乘淨剩疊繩壤孃讓釀觸囑眞寢愼"
    "盡圖粹醉穗隨髓樞數瀨聲齊靜竊攝專淺戰踐錢潛纖禪雙壯爭莊搜插巢曾瘦裝總騷增藏臟卽屬續墮對體帶滯臺瀧擇澤"
    "擔單膽團斷彈遲癡蟲晝鑄廳徵聽敕鎭遞鐵點轉傳燈當黨盜稻鬭德獨讀屆貳惱腦霸拜廢賣麥發髮拔晚蠻祕濱甁拂佛倂"
    "竝餠邊變辨瓣辯步寶豐襃飜每萬滿麵默彌譯藥與豫餘譽搖樣謠來賴亂覽龍兩獵綠淚壘禮勵戾靈齡曆歷戀鍊爐勞郞樓"
    "錄灣亙凛堯巖晄檜槇禰禱祿穰萠遙薗駈嶋盃冨峯埜凉髙﨑嵜濵邉栁桺𠮷桒槗嶌靏﨔曻閒舘篭籔薮渕渊喆圡鐡畄畱舩"
    "啔冝杦莵皁葊菴壷鰺㐂萊裡桞礒鉃靍"
)
_USUAL = (
    "亜悪圧囲医為壱隠栄営衛駅円塩縁艶応欧殴桜奥横温穏仮価画会絵壊懐概拡殻覚学岳楽渇缶巻陥勧寛関歓観気帰亀"
    "偽戯犠旧拠挙虚峡挟狭郷暁区駆勲薫径茎恵掲渓経蛍軽継鶏芸撃欠研県倹剣険圏検献権顕験厳広効恒黄鉱号国黒砕"
    "済斎剤雑参桟蚕惨賛残糸歯児辞湿実写釈寿収従渋獣縦粛処緒叙将称渉焼証奨条状乗浄剰畳縄壌嬢譲醸触嘱真寝慎"
    "尽図粋酔穂随髄枢数瀬声斉静窃摂専浅戦践銭潜繊禅双壮争荘捜挿巣曽痩装総騒増蔵臓即属続堕対体帯滞台滝択沢"
    "担単胆団断弾遅痴虫昼鋳庁徴聴勅鎮逓鉄点転伝灯当党盗稲闘徳独読届弐悩脳覇拝廃売麦発髪抜晩蛮秘浜瓶払仏併"
    "並餅辺変弁弁弁歩宝豊褒翻毎万満麺黙弥訳薬与予余誉揺様謡来頼乱覧竜両猟緑涙塁礼励戻霊齢暦歴恋錬炉労郎楼"
    "録湾亘凜尭巌晃桧槙祢祷禄穣萌遥園駆島杯富峰野涼高崎崎浜辺柳柳吉桑橋島鶴欅昇間館籠藪藪淵淵哲土鉄留留船"
    "啓宜杉兎皂庵庵壺鯵喜莱裏柳磯鉄鶴"
)

_TO_USUAL = str.maketrans(_VARIANTS, _USUAL)
_ANY = re.compile(f"[{_VARIANTS}]")


def usual_forms(text: str) -> str:
    """Return a text with each variant in its usual form: 髙﨑 is 高崎."""
    return text if text.isascii() else text.translate(_TO_USUAL)


def variants_in(text: str) -> list[tuple[str, str]]:
    """List the variants of a text, each once, with their usual forms."""
    return [(letter, usual_forms(letter)) for letter in dict.fromkeys(_ANY.findall(text))]


def has_variants(text: str) -> bool:
    """Return whether a variant stands in a text."""
    return _ANY.search(text) is not None
