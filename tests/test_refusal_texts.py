"""Refusals in other languages: whole texts, of known kinds, and nothing uncertain."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smmfanfast_async._refusals.texts import count_variants
from smmfanfast_async.errors import ErrorKind, InvalidSettingsError
from smmfanfast_async.profile import API_V2, MAX_REFUSAL_VARIANTS, SMMFANFAST, Profile, Refusal
from smmfanfast_async.refusal_texts import LANGUAGES

K = ErrorKind

TEXTS: dict[str, list[tuple[str, ErrorKind]]] = {
    "es": [
        ("¡Saldo insuficiente!", K.FUNDS),
        ("No tienes suficiente saldo.", K.FUNDS),
        ("Saldo insuficiente en su cuenta. 0,50 USD", K.FUNDS),
        ("El servicio no existe", K.SERVICE),
        ("Cantidad mínima: 100", K.VALIDATION),
        ("La cantidad debe estar entre 10 y 1.000", K.VALIDATION),
        ("El enlace no es válido", K.VALIDATION),
        ("Faltan parámetros requeridos", K.VALIDATION),
        ("Clave API inválida", K.AUTH),
        ("Ya tienes un pedido activo con este enlace", K.DUPLICATE),
        ("Demasiadas solicitudes", K.RATE_LIMIT),
    ],
    "pt": [
        ("Saldo insuficiente", K.FUNDS),
        ("Você não tem saldo suficiente.", K.FUNDS),
        ("Serviço não encontrado", K.SERVICE),
        ("A quantidade mínima é 50", K.VALIDATION),
        ("Link inválido", K.VALIDATION),
        ("Chave da API inválida", K.AUTH),
        ("Já existe um pedido ativo para este link", K.DUPLICATE),
        ("Muitas solicitações", K.RATE_LIMIT),
    ],
    "tr": [
        ("Yetersiz bakiye", K.FUNDS),
        ("BAKİYENİZ YETERSİZ", K.FUNDS),
        ("Servis bulunamadı", K.SERVICE),
        ("GEÇERSİZ LİNK", K.VALIDATION),
        ("Minimum miktar 100", K.VALIDATION),
        ("Miktar 10 ile 500 arasında olmalıdır", K.VALIDATION),
        ("API anahtarı geçersiz", K.AUTH),
        ("Bu link için zaten aktif bir siparişiniz var", K.DUPLICATE),
        ("Çok fazla istek", K.RATE_LIMIT),
    ],
    "ar": [
        ("رصيدك غير كافٍ", K.FUNDS),
        ("الرصيد غير كافي!", K.FUNDS),
        ("لا يوجد رصيد كافي", K.FUNDS),
        ("الخدمة غير موجودة", K.SERVICE),
        ("الرابط غير صحيح", K.VALIDATION),
        ("الحد الأدنى للكمية هو 100", K.VALIDATION),
        ("مفتاح API غير صحيح", K.AUTH),
        ("لديك بالفعل طلب نشط بهذا الرابط", K.DUPLICATE),
    ],
    "vi": [
        ("Số dư không đủ, vui lòng nạp thêm", K.FUNDS),
        ("Số dư không đủ", K.FUNDS),
        ("Dịch vụ không tồn tại", K.SERVICE),
        ("Số lượng tối thiểu là 100", K.VALIDATION),
        ("Link không hợp lệ", K.VALIDATION),
        ("API key không hợp lệ", K.AUTH),
        ("Quá nhiều yêu cầu", K.RATE_LIMIT),
    ],
    "ru": [
        ("Недостаточно средств на балансе", K.FUNDS),
        ("Недостаточно средств", K.FUNDS),
        ("Услуга не найдена", K.SERVICE),
        ("Неверный ID услуги", K.SERVICE),
        ("Минимальное количество: 100", K.VALIDATION),
        ("Количество должно быть от 10 до 1000", K.VALIDATION),
        ("Неверная ссылка", K.VALIDATION),
        ("Неверный API ключ", K.AUTH),
        ("У вас уже есть активный заказ с этой ссылкой", K.DUPLICATE),
        ("Слишком много запросов", K.RATE_LIMIT),
    ],
    "id": [
        ("Saldo tidak mencukupi", K.FUNDS),
        ("Saldo Anda tidak mencukupi.", K.FUNDS),
        ("Layanan tidak ditemukan", K.SERVICE),
        ("Jumlah minimal pemesanan adalah 100", K.VALIDATION),
        ("Link tidak valid", K.VALIDATION),
        ("API key tidak valid", K.AUTH),
        ("Terlalu banyak permintaan", K.RATE_LIMIT),
    ],
}

UNCERTAIN: dict[str, list[str]] = {
    "es": ["Ocurrió un error", "Inténtalo de nuevo", "Servicio no disponible", "Pedido creado"],
    "pt": ["Ocorreu um erro", "Tente novamente", "Serviço indisponível", "Pedido criado"],
    "tr": ["Bir hata oluştu", "Lütfen tekrar deneyin", "Servis kullanılamıyor", "Sipariş alındı"],
    "ar": ["حدث خطأ", "حاول مرة أخرى", "الخدمة غير متوفرة", "تم إنشاء الطلب", "طلب نشط"],
    "vi": ["Đã xảy ra lỗi", "Vui lòng thử lại", "Dịch vụ tạm ngưng", "Đơn hàng đã được tạo"],
    "ru": [
        "Произошла ошибка",
        "Попробуйте позже",
        "Услуга временно недоступна",
        "Заказ создан",
        # A shop that accepts the order and waits for the money (seen).
        "Недостаточно средств на балансе. Ваш заказ №1 начнет исполняться после пополнения",
    ],
    "id": ["Terjadi kesalahan", "Silakan coba lagi", "Layanan tidak tersedia", "Pesanan dibuat"],
}

ALL = [(code, text, kind) for code, texts in TEXTS.items() for text, kind in texts]


def profile_in(code: str) -> Profile:
    return PROFILES[code]


PROFILES = {
    code: attrs.evolve(SMMFANFAST, name=code, refusals=texts) for code, texts in LANGUAGES.items()
}


def test_every_language_is_tested() -> None:
    assert set(TEXTS) == set(UNCERTAIN) == set(LANGUAGES)


@pytest.mark.parametrize(("code", "text", "kind"), ALL)
def test_text_of_a_language_has_its_kind(code: str, text: str, kind: ErrorKind) -> None:
    assert profile_in(code).refusal_kind(text) is kind
    assert attrs.evolve(API_V2, refusals=LANGUAGES[code]).refusal_kind(text, "status") is kind


@pytest.mark.parametrize(
    ("code", "text"), [(code, text) for code, texts in UNCERTAIN.items() for text in texts]
)
def test_uncertain_text_of_a_language_is_not_a_refusal(code: str, text: str) -> None:
    assert profile_in(code).refusal_kind(text) is None


@given(
    st.sampled_from(ALL),
    st.sampled_from(["12345x", "pedido", "sipariş 5", "طلب", "đơn", "заказ", "provider"]),
    st.integers(0, 12),
)
def test_inserted_word_makes_a_text_of_a_language_unknown(
    case: tuple[str, str, ErrorKind], more: str, at: int
) -> None:
    words = case[1].split()
    words.insert(min(at, len(words)), more)

    assert profile_in(case[0]).refusal_kind(" ".join(words)) is None


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_text_has_a_source_and_a_kind_that_proves_a_refusal(code: str) -> None:
    kinds = {K.FUNDS, K.SERVICE, K.VALIDATION, K.AUTH, K.DUPLICATE, K.RATE_LIMIT}

    assert {each.source for each in LANGUAGES[code]} <= {"seen", "assumed"}
    assert {each.kind for each in LANGUAGES[code]} == kinds
    assert len({each.text for each in LANGUAGES[code]}) == len(LANGUAGES[code])


def test_all_languages_fit_into_one_profile() -> None:
    texts = tuple(each for texts in LANGUAGES.values() for each in texts)

    everything = attrs.evolve(API_V2, refusals=(*API_V2.refusals, *texts))

    assert everything.refusal_kind("Yetersiz bakiye") is K.FUNDS
    assert sum(count_variants(each.text) for each in texts) < MAX_REFUSAL_VARIANTS / 10


def test_number_of_variants_of_a_profile_is_bounded() -> None:
    many = tuple(
        Refusal(f"{number} {{a|b|c}} {{a|b|c}} {{a|b|c}} {{a|b|c}}", K.FUNDS)
        for number in range(MAX_REFUSAL_VARIANTS // 81 + 1)
    )

    assert attrs.evolve(SMMFANFAST, refusals=many[1:]).refusals == many[1:]
    with pytest.raises(InvalidSettingsError, match="must have at most 50000 variants, not 50058"):
        attrs.evolve(SMMFANFAST, refusals=many)
