"""Refusal texts of panels in other languages, to be added to a profile. Pure.

::

    from smmfanfast_async.refusal_texts import SPANISH

    mine = attrs.evolve(API_V2, name="mine", refusals=(*API_V2.refusals, *SPANISH))

They are the common refusals that a panel sends before it creates an order: funds, service, fields,
limits, the key, an active order for the link, the rate. A text matches as a whole only, and nothing
like "not available", "try again" or "error" is among them. `Refusal.source` says of each whether a
variant of it was seen in public code, as the answer of a shop that checks before it orders, or is
assumed. Check that your panel means the same by them before you add a language.
"""

from collections.abc import Mapping

from .errors import ErrorKind
from .profile import Refusal

__all__ = [
    "ARABIC",
    "INDONESIAN",
    "LANGUAGES",
    "PORTUGUESE",
    "RUSSIAN",
    "SPANISH",
    "TURKISH",
    "VIETNAMESE",
]


def _parse(kinds: Mapping[ErrorKind, str]) -> tuple[Refusal, ...]:
    """Return the refusals of texts by kind, one a line; "*" marks those that were seen."""
    return tuple(
        Refusal(line.removeprefix("* "), kind, "seen" if line.startswith("* ") else "assumed")
        for kind, lines in kinds.items()
        for line in lines.strip().splitlines()
    )


SPANISH = _parse(
    {
        ErrorKind.FUNDS: """
{Saldo|Fondos|Balance|Crédito|Credito} {insuficiente|insuficientes} {en su cuenta|en tu cuenta|}
{No tienes|No tiene|Usted no tiene|No hay} {suficiente|suficientes} {saldo|fondos|crédito|dinero} {en su cuenta|en tu cuenta|}
{No tienes|No tiene|No hay} {saldo|fondos} {suficiente|suficientes}
{Tu|Su|El|} saldo {es insuficiente|no es suficiente}
""",
        ErrorKind.SERVICE: """
{El|Este|} servicio {no existe|no encontrado|no fue encontrado|no es válido|no es valido|no está activo}
{El|Este|} servicio {está|esta|} {inactivo|desactivado|deshabilitado}
Servicio {inválido|invalido|incorrecto|no válido|no valido|desconocido}
ID {de|del|} servicio {inválido|invalido|incorrecto|no válido|no valido|no existe}
""",
        ErrorKind.VALIDATION: """
{El|} {enlace|link|URL|usuario} es {obligatorio|requerido|inválido|invalido|incorrecto}
{El|} {enlace|link|URL|usuario} no es {válido|valido}
{Enlace|Link|URL|Usuario} {inválido|invalido|incorrecto|no válido|no valido}
{La|} cantidad es {obligatoria|requerida|inválida|invalida|incorrecta}
{La|} cantidad no es {válida|valida}
Cantidad {inválida|invalida|incorrecta|no válida|no valida}
{La|} cantidad {mínima|minima|máxima|maxima} {es|es de|debe ser|} {n}
{El|} {mínimo|minimo|máximo|maximo} {es|es de|} {n}
{La|} cantidad debe {ser|estar} {mayor o igual a|menor o igual a|al menos|como máximo|mayor que|menor que} {n}
{La|} cantidad debe {ser|estar} entre {n} y {n}
{La|} cantidad {es menor|es mayor|es inferior|es superior} {que|a|al} {mínimo|minimo|máximo|maximo} {de|} {n}
El campo {enlace|link|url|cantidad|servicio|comentarios|usuario} es {obligatorio|requerido}
{Faltan|Falta} {parámetros|parametros|datos|campos} {obligatorios|requeridos|}
{Los|} comentarios son {obligatorios|requeridos}
Todos los campos son {obligatorios|requeridos}
""",
        ErrorKind.AUTH: """
{Clave|Llave} {API|de API|de la API} {inválida|invalida|incorrecta|no válida|no valida}
API key {inválida|invalida|inválido|incorrecta|incorrecto|no válida}
{Tu|Su|La|} cuenta {está|esta|ha sido|} {suspendida|bloqueada|desactivada|inactiva}
{Usuario|Cuenta} {no encontrado|no encontrada|no existe|inactivo|inactiva}
""",
        ErrorKind.DUPLICATE: """
{Ya|} {tienes|tiene|existe|hay} {un|otro} pedido activo {con|para} {este|ese|el mismo} {enlace|link}
{Ya|} {tienes|tiene|existe|hay} un pedido {en curso|pendiente} {con|para} {este|ese|el mismo} {enlace|link}
""",
        ErrorKind.RATE_LIMIT: """
Demasiadas {solicitudes|peticiones}
Límite de {solicitudes|peticiones} {excedido|superado|alcanzado}
""",
    }
)
"""Spanish."""

PORTUGUESE = _parse(
    {
        ErrorKind.FUNDS: """
{Saldo|Fundos|Crédito|Créditos} {insuficiente|insuficientes} {na sua conta|na conta|}
{Você não tem|Não há|Você não possui} {saldo|fundos|créditos} {suficiente|suficientes}
{Seu|O seu|} saldo {é insuficiente|não é suficiente}
""",
        ErrorKind.SERVICE: """
{O|Este|} serviço {não existe|não encontrado|não foi encontrado|não é válido|não está ativo}
{O|Este|} serviço {está|} {inativo|desativado|desabilitado}
Serviço {inválido|incorreto|desconhecido}
ID {de|do|} serviço {inválido|incorreto|não existe|não encontrado}
""",
        ErrorKind.VALIDATION: """
{O|} {link|URL|usuário} {é|} {obrigatório|inválido|incorreto}
{A|} quantidade {é|} {obrigatória|inválida|incorreta}
{A|} quantidade {mínima|máxima} {é|é de|} {n}
{O|} {mínimo|máximo} {é|é de|} {n}
{A|} quantidade deve {ser|estar} {maior ou igual a|menor ou igual a|no mínimo|no máximo|maior que|menor que} {n}
{A|} quantidade deve {ser|estar} entre {n} e {n}
{A|} quantidade {é menor|é maior} {que o|do que o} {mínimo|máximo} {de|} {n}
O campo {link|url|quantidade|serviço|comentários|usuário} é obrigatório
{Faltam|Faltando} {parâmetros|dados|campos} {obrigatórios|}
Todos os campos são obrigatórios
""",
        ErrorKind.AUTH: """
{Chave|A chave} {API|de API|da API} {é|} {inválida|incorreta}
API key {inválida|inválido|incorreta}
{Sua|A sua|A|} conta {está|foi|} {suspensa|bloqueada|desativada|inativa}
{Usuário|Conta} {não encontrado|não encontrada|não existe|inativo|inativa}
""",
        ErrorKind.DUPLICATE: """
{Você já tem|Já existe|Você já possui} um pedido {ativo|em andamento|pendente} {com|para} {este|esse|o mesmo} link
""",
        ErrorKind.RATE_LIMIT: """
{Muitas|Demasiadas} {solicitações|requisições}
Limite de {solicitações|requisições} {excedido|atingido}
""",
    }
)
"""Portuguese."""

TURKISH = _parse(
    {
        ErrorKind.FUNDS: """
{Yetersiz|Yetersiz hesap} {bakiye|bakiyesi}
{Hesap|} {Bakiye|Bakiyeniz|Bakiyesi} {yetersiz|yetersizdir|yeterli değil|yeterli değildir}
{Yeterli bakiyeniz|Yeterli bakiye} {yok|bulunmamaktadır|bulunmuyor}
Bakiyenizde yeterli {miktar|tutar} {yok|bulunmamaktadır}
""",
        ErrorKind.SERVICE: """
{Servis|Hizmet} {bulunamadı|mevcut değil|geçersiz|pasif|aktif değil|devre dışı}
Geçersiz {servis|hizmet|servis ID|hizmet ID|servis numarası}
{Servis|Hizmet} ID {geçersiz|hatalı|bulunamadı}
""",
        ErrorKind.VALIDATION: """
{Link|Bağlantı|URL|Kullanıcı adı} {gerekli|gereklidir|zorunlu|zorunludur|geçersiz|hatalı|boş olamaz}
{Geçersiz|Hatalı} {link|bağlantı|URL|kullanıcı adı|miktar|adet}
{Miktar|Adet} {gerekli|gereklidir|zorunlu|zorunludur|geçersiz|hatalı|boş olamaz}
{Minimum|Maksimum|En az|En fazla} {miktar|adet|sipariş miktarı|sipariş adedi|} {n} {olmalıdır|olabilir|}
{Miktar|Adet} {minimum|maksimum|en az|en fazla} {n} {olmalı|olmalıdır|olabilir}
{Miktar|Adet} {n} {ile|ve} {n} arasında {olmalı|olmalıdır}
{Eksik|Geçersiz|Hatalı} {parametre|parametreler|bilgi}
{Tüm|Bütün} alanlar {zorunlu|zorunludur}
""",
        ErrorKind.AUTH: """
{Geçersiz|Hatalı|Yanlış} API {anahtarı|key|anahtar}
API {anahtarı|key|anahtarınız} {geçersiz|hatalı|yanlış|bulunamadı}
{Hesabınız|Hesap|Kullanıcı} {askıya alındı|askıya alınmıştır|pasif|engellendi|engellenmiş|aktif değil}
Kullanıcı bulunamadı
""",
        ErrorKind.DUPLICATE: """
Bu {link|bağlantı} {için|ile} {zaten|} {aktif|devam eden|bekleyen} {bir|} {siparişiniz|sipariş} {var|bulunmaktadır|mevcut}
""",
        ErrorKind.RATE_LIMIT: """
{Çok fazla|Çok sayıda} istek
İstek {limiti|sınırı} aşıldı
""",
    }
)
"""Turkish."""

ARABIC = _parse(
    {
        ErrorKind.FUNDS: """
{الرصيد|رصيدك|رصيد|رصيد حسابك} {غير كافٍ|غير كافي|غير كاف|لا يكفي}
{لا يوجد|ليس لديك|لا تملك} رصيد {كافٍ|كافي|كاف} {في حسابك|}
""",
        ErrorKind.SERVICE: """
{الخدمة|هذه الخدمة} {غير موجودة|غير صحيحة|غير صالحة|غير مفعلة|معطلة|غير نشطة}
{رقم|معرف} {الخدمة|خدمة} {غير صحيح|غير صالح|غير موجود|خاطئ}
""",
        ErrorKind.VALIDATION: """
{الرابط|رابط} {مطلوب|غير صحيح|غير صالح|خاطئ}
{حقل الرابط|حقل الكمية|حقل الخدمة|حقل التعليقات} {مطلوب|إجباري}
{الكمية|كمية} {مطلوبة|غير صحيحة|غير صالحة}
{الحد الأدنى|أقل كمية|الحد الأدنى للكمية|الحد الأدنى للطلب} {هو|هي|} {n}
{الحد الأقصى|أكبر كمية|أقصى كمية|الحد الأقصى للكمية|الحد الأقصى للطلب} {هو|هي|} {n}
{الكمية|يجب أن تكون الكمية} {يجب أن تكون|} بين {n} و {n}
{الكمية|كمية} {أقل من الحد الأدنى|أكبر من الحد الأقصى|أعلى من الحد الأقصى} {n}
{الكمية|كمية} {أقل من الحد الأدنى|أكبر من الحد الأقصى|أعلى من الحد الأقصى}
{جميع|كل} الحقول مطلوبة
""",
        ErrorKind.AUTH: """
مفتاح {API|الـ API|ال API|الربط} {غير صحيح|غير صالح|خاطئ}
{الحساب|حسابك|هذا الحساب} {معطل|موقوف|محظور|غير مفعل|غير موجود}
المستخدم غير موجود
""",
        ErrorKind.DUPLICATE: """
{لديك|يوجد} {بالفعل|} طلب {نشط|قيد التنفيذ} {بهذا الرابط|لهذا الرابط|على هذا الرابط|بنفس الرابط}
""",
        ErrorKind.RATE_LIMIT: """
{طلبات كثيرة جدا|طلبات كثيرة جداً|عدد كبير من الطلبات}
""",
    }
)
"""Arabic."""

VIETNAMESE = _parse(
    {
        ErrorKind.FUNDS: """
* Số dư không đủ {vui lòng nạp thêm|vui lòng nạp thêm tiền|}
Số dư {của bạn|tài khoản|trong tài khoản} không đủ {để đặt hàng|}
{Tài khoản|Bạn} không đủ {số dư|tiền} {để đặt hàng|}
""",
        ErrorKind.SERVICE: """
{Dịch vụ|Dịch vụ này} {không tồn tại|không hợp lệ|không tìm thấy|không hoạt động|đã bị tắt|đã ngừng}
{Không tìm thấy|Sai} {dịch vụ|ID dịch vụ}
ID dịch vụ {không hợp lệ|không tồn tại|không đúng}
""",
        ErrorKind.VALIDATION: """
{Liên kết|Link|Đường dẫn|URL} {không hợp lệ|không đúng|không được để trống|là bắt buộc}
{Vui lòng nhập|Thiếu} {liên kết|link|đường dẫn|số lượng|dịch vụ|bình luận}
Số lượng {không hợp lệ|không đúng|không được để trống|là bắt buộc}
Số lượng {tối thiểu|tối đa|nhỏ nhất|lớn nhất} {là|phải là|} {n}
Số lượng phải {từ|trong khoảng|nằm trong khoảng} {n} {đến|tới} {n}
Số lượng phải {lớn hơn|nhỏ hơn|lớn hơn hoặc bằng|nhỏ hơn hoặc bằng} {n}
{Thiếu|Sai} tham số
""",
        ErrorKind.AUTH: """
{API key|Khóa API|API token|Key} {không hợp lệ|không đúng|không tồn tại|không chính xác}
Tài khoản {của bạn|} {đã bị khóa|bị khóa|không tồn tại|chưa kích hoạt}
""",
        ErrorKind.DUPLICATE: """
{Bạn đã có|Đã có|Đang có} {một|} đơn {hàng|} {đang chạy|đang hoạt động} {với|cho} {liên kết|link} này
""",
        ErrorKind.RATE_LIMIT: """
Quá nhiều yêu cầu
""",
    }
)
"""Vietnamese."""

RUSSIAN = _parse(
    {
        ErrorKind.FUNDS: """
* Недостаточно средств {на балансе|на счету|на счёте|на вашем балансе|}
{Недостаточный|Недостаточен} баланс
{На вашем балансе|На балансе|На счету} недостаточно средств
{У вас|} недостаточно {средств|денег} {на балансе|на счету|для заказа|для оформления заказа|}
Не хватает средств {на балансе|на счету|}
""",
        ErrorKind.SERVICE: """
{Услуга|Сервис} не {найдена|найден|существует|активна|активен}
{Неверная|Некорректная|Неизвестная} услуга
{Неверный|Некорректный|Неправильный|Неизвестный} {ID|идентификатор} {услуги|сервиса}
{Услуга|Сервис} {отключена|отключен|отключён|неактивна|неактивен}
""",
        ErrorKind.VALIDATION: """
{Неверная|Некорректная|Неправильная|Недопустимая} ссылка
{Ссылка|URL} {обязательна|обязателен|не указана|не указан|недействительна}
{Не указана|Укажите} {ссылка|ссылку|количество|услуга|услугу}
{Неверное|Некорректное|Неправильное|Недопустимое} количество
Количество {обязательно|не указано}
{Минимальное|Максимальное} количество {для заказа|} {составляет|равно|должно быть|} {n}
{Минимум|Максимум} {n}
Количество должно быть {от|между} {n} {до|и} {n}
Количество должно быть {не менее|не более|больше|меньше|не меньше|не больше} {n}
Количество {меньше минимального|больше максимального|меньше минимума|больше максимума}
Поле {ссылка|количество|услуга|комментарии} обязательно {для заполнения|}
{Не указаны|Отсутствуют} {обязательные параметры|параметры|обязательные поля}
""",
        ErrorKind.AUTH: """
{Неверный|Некорректный|Неправильный|Недействительный} {API ключ|ключ API|ключ|API key}
{Ваш аккаунт|Аккаунт|Пользователь|Учётная запись} {заблокирован|заблокирована|отключен|отключён|неактивен}
{Пользователь|Аккаунт} не найден
""",
        ErrorKind.DUPLICATE: """
У вас уже есть {активный|незавершённый|незавершенный} заказ {с|на|для} {этой|эту|этой же} {ссылкой|ссылку|ссылки}
{На эту ссылку|Для этой ссылки|С этой ссылкой} уже есть {активный|незавершённый|незавершенный} заказ
""",
        ErrorKind.RATE_LIMIT: """
Слишком много запросов
{Превышен|Превышено} {лимит|ограничение|количество} запросов
""",
    }
)
"""Russian."""

INDONESIAN = _parse(
    {
        ErrorKind.FUNDS: """
* Saldo {Anda|kamu|} {tidak mencukupi|tidak cukup|kurang|tidak memadai}
{Anda|Kamu} tidak memiliki saldo yang {cukup|mencukupi}
""",
        ErrorKind.SERVICE: """
* Layanan {tidak ditemukan|tidak valid|tidak aktif|dinonaktifkan|salah}
ID layanan {tidak ditemukan|tidak valid|salah}
""",
        ErrorKind.VALIDATION: """
{Link|Tautan|URL|Target|Username} {wajib diisi|tidak valid|salah|tidak boleh kosong|harus diisi}
{Jumlah|Kuantitas} {wajib diisi|tidak valid|salah|tidak boleh kosong|harus diisi}
{Jumlah|Jumlah pesanan|Kuantitas|} {minimal|maksimal|minimum|maksimum} {pemesanan|pesanan|order|} {adalah|} {n}
{Jumlah|Kuantitas} harus antara {n} dan {n}
{Jumlah|Kuantitas} {kurang dari minimal|melebihi maksimal|kurang dari minimum|melebihi maksimum} {n}
{Jumlah|Kuantitas} {kurang dari minimal|melebihi maksimal|kurang dari minimum|melebihi maksimum}
{Parameter|Data} tidak lengkap
Semua {kolom|bidang|data} {wajib|harus} diisi
""",
        ErrorKind.AUTH: """
{API key|Kunci API|API ID|API key Anda} {tidak valid|salah|tidak ditemukan}
Akun {Anda|kamu|} {dinonaktifkan|diblokir|tidak aktif|ditangguhkan|tidak ditemukan}
Pengguna tidak ditemukan
""",
        ErrorKind.DUPLICATE: """
{Anda|Kamu} {masih|sudah} {memiliki|punya} pesanan {aktif|yang aktif} {dengan|untuk} {link|tautan|target} {ini|yang sama}
""",
        ErrorKind.RATE_LIMIT: """
Terlalu banyak permintaan
""",
    }
)
"""Indonesian."""

LANGUAGES: Mapping[str, tuple[Refusal, ...]] = {
    "ar": ARABIC,
    "es": SPANISH,
    "id": INDONESIAN,
    "pt": PORTUGUESE,
    "ru": RUSSIAN,
    "tr": TURKISH,
    "vi": VIETNAMESE,
}
"""The texts by the code of their language (ISO 639-1)."""
