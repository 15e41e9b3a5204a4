"""Cues find their words, are all used, and never take long, however hostile the text."""

import time
from pathlib import Path

import pytest

from models import cues
from models.cues import CUES_FILE, load_cues, shipped_cues
from models.errors import RulePackError

MODELS = Path(cues.__file__).parent


@pytest.mark.parametrize(
    ("cue", "text", "held"),
    [
        ("promise_of_breakage_cover", "破损包赔", True),
        ("promise_of_breakage_cover", "包装精美", False),
        ("promise_of_no_reason_return", "支持七天无理由退换", True),
        ("no_reason_return_excluded", "定制商品", True),
        ("no_reason_return_excluded", "非定制商品", False),
        ("consent_to_handing_over", "放驿站就行", True),
        ("consent_to_handing_over", "Please leave it with the neighbour", True),
        ("consent_denied", "未经同意放柜", True),
        ("damage_noted_on_delivery", "签收单注明外箱破损", True),
        ("names_proof", "我有开箱视频", True),
        ("names_proof", "videogame console", False),
        ("perishable", "草莓 3斤", True),
        ("perishable", "a caked brush", False),
        ("plural_lot", "玻璃杯 6只装", True),
        ("plural_lot", "set of 4 mugs", True),
        ("part_of_lot", "有3个碎了", True),
        ("part_of_lot", "two of the glasses were smashed", True),
        ("perishable", "电吉他 樱桃木", False),
        ("perishable", "苹果手机壳", False),
        ("fragile", "87键盘", False),
        ("fragile", "陶瓷盘", True),
        ("plural_lot", "4对8只", True),
        ("all_of_lot", "both were smashed", True),
        ("all_of_lot", "碎了一个", False),
        ("box_harmed", "箱子左上角是瘪的", True),
        ("box_sound", "箱子外面没事", True),
        ("own_act", "不小心摔了一下", True),
        ("used_goods", "没用过", False),
        ("used_goods", "用了两天", True),
        ("carrier_owns_up", "站点说卸货的时候摔过", True),
        ("carrier_owns_up", "The driver admitted he dropped it", True),
        ("carrier_owns_up", "快递员说放门口了", False),
        ("carrier_owns_up", "UPS says it will arrive on Monday", False),
        ("misdelivered", "他说敲门没人就搁门口了", True),
        ("misdelivered", "帮我放门口就行", False),
        ("misdelivered", "as they delivered to wrong address", True),
        ("misdelivered", "that is my porch", False),
        ("asks_all_back", "退吧", True),
        ("asks_all_back", "那退一点吧", False),
        ("asks_all_back", "我要退", True),
        ("own_act", "我妈就放水龙头底下冲冲", True),
        ("own_act", "没进水", False),
        ("already_seen", "录屏看到了", True),
        ("elsewhere", "签收地是旧地址", True),
        ("cites_page", "The listing says 11 cm", True),
        ("not_included", "charger not included", True),
        ("keeps_goods", "50块你留着改主图", False),
        ("turns_down", "No, thanks for asking though", False),
        ("turns_down", "不用啦", True),
        ("turns_down", "不用寄回", False),
        ("asks_replacement", "换句话说", False),
        ("asks_return", "please take it back", True),
        ("dangerous", "快递不收", True),
        ("undeliverable", "SOLD OUT, sorry", True),
        ("undeliverable", "稍等我看下架号", False),
        ("own_mistake", "I measured it wrong, sorry", True),
        ("own_mistake", "我年款报错了", True),
        ("own_mistake", "you sent the wrong one", False),
        ("never_handed_in", "电子面单已生成，未揽收", True),
        ("undeliverable", "库里第三版没了就给你配了二版", True),
        ("part_of_lot", "three are mush", True),
        ("part_of_lot", "potted up the good nine", True),
        ("part_of_lot", "size 3 soft sole", False),
        ("hidden_quality", "净含量 5kg", False),
        ("no_reason_return_excluded", "定稿确认交付源文件后不退款", True),
        ("intangible", "票夹 卡包 牛皮", False),
        ("still_on_sale", "库存显示4千多", True),
        ("still_on_sale", "可以换的 有货", True),
        ("still_on_sale", "没有货", False),
        ("still_on_sale", "sorry, it is not in stock", False),
        ("weak_provenance", "手写收据", True),
        ("not_the_recipient", "非本人签收", True),
        ("not_the_recipient", "nothing unusual", False),
    ],
)
def test_a_cue_is_held_by_its_words_and_not_by_their_look_alikes(cue: str, text: str, held: bool) -> None:
    assert shipped_cues().has(cue, text) is held


def test_an_absent_text_holds_no_cue() -> None:
    for cue in shipped_cues().patterns:
        assert shipped_cues().has(cue, None) is False
        assert shipped_cues().has(cue, "") is False


def test_no_cue_holds_where_nothing_is_said() -> None:
    for text in ("你好", "在吗？", "Hello there", "🙂", " \n\t"):
        assert [cue for cue in shipped_cues().patterns if shipped_cues().has(cue, text)] == []


def test_every_cue_is_read_by_some_module() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in MODELS.glob("*.py"))
    assert [cue for cue in shipped_cues().patterns if f'"{cue}"' not in code] == []


@pytest.mark.parametrize("unit", ["a", "1", "一", "没", " ", "1 ", "one ", "七天", "return ", "放到", "no "])
def test_the_longest_hostile_text_is_read_at_once(unit: str) -> None:
    text = (unit * 20_000)[:20_000]
    started = time.process_time()
    for cue in shipped_cues().patterns:
        shipped_cues().has(cue, text)
    assert time.process_time() - started < 2.0


def test_a_pattern_that_does_not_compile_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cues.yaml"
    path.write_text(CUES_FILE.read_text(encoding="utf-8") + "\nbroken: '('\n", encoding="utf-8")
    with pytest.raises(RulePackError, match=r"cues\.yaml: broken"):
        load_cues(path)
