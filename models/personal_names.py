"""Names of people in Chinese and English text, by the words that announce them.

A name that nothing announces is not found: no register of names is asked, so that goods, brands and places called like
people stay readable. Knows nothing of what is done with them.
"""

import re
from collections.abc import Iterator

from models.personal_numbers import Personal

_HAN = "\u4e00-\u9fff"
_SURNAMES = (
    "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜戚谢邹喻柏窦章云苏潘葛奚范彭郎鲁韦昌马苗凤花方俞"
    "任袁柳鲍史唐费廉岑薛雷贺倪汤滕殷罗毕郝邬安常乐于时傅皮卞齐康伍余元卜顾孟平黄穆萧尹姚邵汪祁毛禹狄米贝明臧计伏成戴"
    "谈宋茅庞熊纪舒屈项祝董梁杜阮蓝闵席季麻强贾路娄危江童颜郭梅盛林刁钟徐邱骆高夏蔡田樊胡凌霍虞万支柯管卢莫房裘缪解"
    "应宗丁宣邓郁单杭洪包诸左石崔吉龚程邢裴陆荣翁荀羊甄曲封储靳段焦巴牧车侯全班仰秋仲伊宫宁仇栾甘厉祖武符刘景詹束龙"
    "叶幸司韶黎薄宿白怀蒲卓蔺屠蒙池乔阴闻党翟谭贡姬申扶堵冉宰雍桑桂牛寿通边燕冀浦尚农温庄晏柴瞿阎慕连茹习艾容向古易"
    "廖耿满匡国文寇广东欧沃蔚越隆巩聂晁勾敖融冷辛阚简饶曾沙丰关相查后荆红游竺权盖益桓公肖涂佟佘"
)
_DOUBLE = "欧阳|司马|上官|诸葛|东方|皇甫|尉迟|公孙|慕容|令狐|长孙|宇文|司徒|夏侯|端木|独孤|南宫"
_FAMILY = rf"(?:{_DOUBLE}|[{_SURNAMES}])"
_AFTER = r"(?=$|[^\u4e00-\u9fffA-Za-z]|先生|女士|小姐|本人|已|没|不|的|说|签|承诺|申|反映|投诉|收|答应|和|与|代|拒|，)"
_GIVEN = rf"(?:[{_HAN}]{{1,2}}?{_AFTER}|[{_HAN}]{{2}})"
_FULL = rf"{_FAMILY}{_GIVEN}"
_MINORITY = rf"[{_HAN}]{{2,6}}·[{_HAN}]{{2,6}}"
_LATIN = rf"[A-Z][A-Za-z'’-]+(?: [A-Z][A-Za-z'’.-]*){{0,2}}(?: ?{_FAMILY}(?![{_HAN}]))?"
_ROLES = (
    "收货人|收件人|联系人|寄件人|发件人|签收人|代签人|代收人|收款人|付款人|投诉人|持卡人|开户名|户名|姓名|经手人|法人|护照名字?|"
    "真名|实名认证人?|实名|抬头个人|抬头|签收栏|寄件方|收件方|收件信息|收货信息|收件资料|清关资料"
)
_OPENING = r"[\"“‘「『【(]?"
_LINK = rf"(?:姓名|拼音|是|为|叫|写的是|写的|改成|改为|填的)?\s*[:：]?\s*{_OPENING}"
_TITLE = "先生|女士|小姐|太太|经理|师傅|老师|阿姨|大爷|主任|老板|店长"
_KIN = "女儿|儿子|老公|老婆|丈夫|妻子|朋友|同事|邻居|妈妈|爸爸|母亲|父亲|弟弟|哥哥|姐姐|妹妹|舅舅|他|她"
_OUR_KIN = (
    "我(?:妈|爸|爷爷|奶奶|外婆|外公|婆婆|公公|姐|哥|妹|弟|爱人|闺女|女儿|儿子|老公|老婆|室友|同事)|我家(?:闺女|孩子)"
)
_WORKERS = "快递小哥|快递员|客服|仓库|物业|司机|店长|老板"
_DESKS = "前台|门卫|保安|物业|驿站|邻居|同事|室友|家属"
_NO_NAME = (
    "安装|安排|马上|高度|于是|方便|安全|何时|何必|常常|全部|明天|金额|严重|任何|平时|谢谢|万一|单独|成功|连续|应该|相关|包裹|程序|康师傅|"
    "石头|黄色|白色|金色|红色|那边|那个|时候|时间|通知|通过|怀疑|解决|查询|明确|平台|公司|东西|国家|单位|关于|计划|经理|有关|和|于"
)
_REAL = rf"(?!{_NO_NAME})"
_ZH = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?:{_ROLES}){_LINK}{_REAL}(?P<name>{_MINORITY}|{_FULL}|{_LATIN})",
        rf"(?:我叫|我的名字[是叫]|名字.{{0,5}}应该是|(?:{_KIN}|师傅|名)叫|自称|本人){_REAL}(?P<name>{_MINORITY}|{_FULL})",
        rf"(?:我是(?:买家|卖家|顾客|客户|店主|机主|收件人|下单人)?|退款给|打款给|转给|交给|客户|用户|业主|顾客|(?:{_WORKERS})){_REAL}(?P<name>{_FAMILY}[{_HAN}]{{1,2}}){_AFTER}",
        rf"(?:{_WORKERS}|请找|联系|找)的?(?P<name>[小老阿][{_HAN}](?=$|[^{_HAN}]|说|可|答应|核|签|收|代|帮))",
        rf"(?:改成|换成|写成|写|填){_REAL}(?P<name>{_FAMILY}[{_HAN}]{{1,2}})(?=就[行好]|收(?:$|[^{_HAN}]))",
        rf"(?:[^{_HAN}]|^){_REAL}(?P<name>{_FAMILY}[{_HAN}]{{1,2}})(?=收(?:$|[^{_HAN}]))",
        rf"(?:{_DESKS}|[由被让]){_REAL}(?P<name>{_FAMILY}[{_HAN}]{{1,2}})(?=代[收签领]|签[收字]|收下)",
        rf"(?:{_OUR_KIN}){_REAL}(?P<name>{_FAMILY}[{_HAN}]{{1,2}}){_AFTER}",
        rf"(?:{_WORKERS}|工号)[^{_HAN}]{{0,8}}[,，]\s?(?:名?叫|姓名){_REAL}(?P<name>[{_HAN}]{{2,3}})(?=$|[^{_HAN}])",
        rf"(?:请找|交给|麻烦)(?P<name>{_FULL})(?:先生|女士|小姐)",
        rf"(?:^|[^{_HAN}]|亲爱的|尊敬的|门卫|保安|前台|物业|快递员?|司机|联系|请找|[的找跟给问]){_REAL}"
        rf"(?P<name>{_FAMILY}[{_HAN}]{{0,2}}?(?:{_TITLE}))(?!家|旗舰|牌|店|的店|傅)",
    )
)
_EN_WORD = r"(?:(?:[A-Z]|Mrs|Mr|Ms|Dr|Wm|Jas|Geo)\.|[A-Z][\w'’-]*)"
_EN_PARTICLES = r"(?:(?:van|von|der|den|de|da|di|dos|bin|al|el|la) ){0,2}"
_EN_NAME = rf"(?P<name>{_EN_WORD}(?: {_EN_PARTICLES}{_EN_WORD}){{0,2}})"
_EN_KIN = (
    "wife|husband|partner|sister|brother|mother|father|mom|mum|dad|son|daughter|roommate|flatmate|neighbou?r|friend"
)
_EN_NO_NAME = (
    r"(?!(?:Mrs?|Ms|Dr)\b(?!\.))(?!(?:Sorry|Angry|Not|The|A(?!\.)|An|But|This|That|Very|So|Front|Resident|Hermes|FedEx|Royal|Amazon|"
    r"Street|Customer|Seller|Buyer|USPS|UPS|DHL|PayPal|Customs|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|"
    r"I|It|He|She|They|We|You|My|Your|No|Yes|Please|And|Or|If|Re|Order|Item|Martens|Coffee|Pepper|Scholl)\b)"
)
_EN = tuple(
    re.compile(rf"(?:{cue}){_EN_NO_NAME}{_EN_NAME}{after}")
    for cue, after in (
        (r"\b(?i:my name(?: is|['’]s)|(?:buyer|recipient(?:['’]s)?|account|cardholder|sender) name(?: is)?:?)\s*", ""),
        (
            r"\b(?i:(?:recipient|receiver|consignee|sender|payee|attn|account holder|cardholder|ship to|name(?: is)?)\b"
            r"\s*[:-]?)\s*",
            "",
        ),
        (r"\b(?i:deliver|send|ship)(?: it)? to ", r"(?=, ?(?:\d|Flat|Apt|Unit|Room))"),
        (r"\b(?i:customer|contact|shipper|buyer|signed)\s*:\s*", ""),
        (
            r"\b(?i:(?:signed(?: for)?|accepted|collected|picked up|opened|taken in) by|handed to|ask for|left with):?"
            r"\s+",
            "",
        ),
        (rf"\b(?i:my|her|his) (?i:{_EN_KIN}),? ", ""),
        (r"\b(?i:the (?:driver|courier|postman|mailman|clerk|agent|manager)), ", r"(?=,)"),
        (r"\b(?:Mr\.? and Mrs|Mrs|Mr|Ms|Miss|Dr)\.?\s+", ""),
        (r"\b(?i:(?:sincerely|regards|best wishes|cheers|thanks|yours),\s*|sincerely\s+)", r"(?=[\s.!]*$)"),
        (r"\b(?:This is|[Ii] am|I['’]m)\s+", r"(?=,| writing| here| speaking| from\b)"),
        (r"\b(?i:hi|hello),\s*(?:this is )?", r"(?= here\b)"),
        (r"\b(?i:customs asked for|refund to|transfer to)\s+", ""),
    )
)


def personal_names(text: str, phones: list[Personal]) -> Iterator[Personal]:
    """Yield names after cue words, with titles, and right before a telephone number.

    phones : those found in the text
    """
    for pattern in (*_ZH, *_EN):
        for found in pattern.finditer(text):
            yield Personal(*found.span("name"), "name")
    for phone in phones:
        before = _BEFORE_PHONE.search(text, max(0, phone.start - 12), phone.start)
        if before is not None:
            yield Personal(*before.span("name"), "name")


_BEFORE_PHONE = re.compile(
    rf"(?:(?<=[^{_HAN}])|^|(?<=[填写给找寄]))(?:{_REAL})(?P<name>{_FAMILY}[{_HAN}]{{1,2}})[\s,，:：(（/]{{1,2}}$"
)
