#!/usr/bin/env python3
"""Every example of protocol.md, computed from nothing but the standard library.

It shares no code with Knockgate: cipher, curve, Noise and serialisation are written out below, so the golden tests compare
two implementations. Not for keys of anybody: nothing here runs in constant time.

    python3 docs/protocol-examples.py
"""

import hashlib
import hmac
import struct

# --- ChaCha20, Poly1305, XChaCha20-Poly1305 (RFC 8439, draft-irtf-cfrg-xchacha) ---------------------------------------

CONSTANTS = b"expand 32-byte k"


def rounds(state):
    x = list(state)

    def quarter(a, b, c, d):
        for first, second, third, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[first] = (x[first] + x[second]) & 0xFFFFFFFF
            mixed = x[third] ^ x[first]
            x[third] = (mixed << turn | mixed >> (32 - turn)) & 0xFFFFFFFF

    for _ in range(10):
        for column in range(4):
            quarter(column, 4 + column, 8 + column, 12 + column)
        for column in range(4):
            quarter(column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4)
    return x


def chacha20_block(key, counter, nonce):
    state = struct.unpack("<16I", CONSTANTS + key + struct.pack("<I", counter) + nonce)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(state, rounds(state))))


def chacha20(key, counter, nonce, data):
    blocks = b"".join(chacha20_block(key, counter + i, nonce) for i in range(-(-len(data) // 64)))
    return bytes(a ^ b for a, b in zip(data, blocks))


def hchacha20(key, nonce16):
    x = rounds(struct.unpack("<16I", CONSTANTS + key + nonce16))
    return struct.pack("<8I", *(x[0:4] + x[12:16]))


def poly1305(key, data):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for at in range(0, len(data), 16):
        total = (total + int.from_bytes(data[at : at + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((total + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def seal(key, nonce12, ad, plain):
    """Sealed text and tag, apart."""
    text = chacha20(key, 1, nonce12, plain)
    fill = lambda data: data + bytes(-len(data) % 16)
    mac_data = fill(ad) + fill(text) + struct.pack("<QQ", len(ad), len(text))
    return text, poly1305(chacha20_block(key, 0, nonce12)[:32], mac_data)


def xseal(key, nonce24, ad, plain):
    return seal(hchacha20(key, nonce24[:16]), bytes(4) + nonce24[16:], ad, plain)


# --- X25519 (RFC 7748) ------------------------------------------------------------------------------------------------

P = 2**255 - 19


def x25519(secret, point=b"\t" + bytes(31)):
    k = int.from_bytes(secret, "little") & ~7 & (2**255 - 1) | 2**254
    u = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3 = 1, 0, u, 1
    for bit in reversed(range(255)):
        if k >> bit & 1:
            x2, z2, x3, z3 = x3, z3, x2, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb, aa, bb = d * a, c * b, a * a, b * b
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, u * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
        if k >> bit & 1:
            x2, z2, x3, z3 = x3, z3, x2, z2
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


# --- Noise_IK_25519_ChaChaPoly_BLAKE2s (section 4) --------------------------------------------------------------------


def blake2s(data):
    return hashlib.blake2s(data).digest()


class Symmetric:
    def __init__(self, name, prologue):
        self.h = self.ck = blake2s(name)
        self.mix_hash(prologue)

    def mix_hash(self, data):
        self.h = blake2s(self.h + data)

    def mix_key(self, shared):
        temp = hmac.digest(self.ck, shared, "blake2s")
        self.ck = hmac.digest(temp, b"\1", "blake2s")
        self.k, self.n = hmac.digest(temp, self.ck + b"\2", "blake2s"), 0

    def encrypt(self, plain):
        sealed = b"".join(seal(self.k, struct.pack("<IQ", 0, self.n), self.h, plain))
        self.n += 1
        self.mix_hash(sealed)
        return sealed


def handshake(prologue, gate, client, client_ephemeral, gate_ephemeral, request, answer):
    """Both messages, with the secret keys of both sides, and the keys of what follows: the client's and the gate's."""
    noise = Symmetric(b"Noise_IK_25519_ChaChaPoly_BLAKE2s", prologue)
    noise.mix_hash(x25519(gate))

    first = x25519(client_ephemeral)
    noise.mix_hash(first)
    noise.mix_key(x25519(client_ephemeral, x25519(gate)))  # es
    first += noise.encrypt(x25519(client))  # s
    noise.mix_key(x25519(client, x25519(gate)))  # ss
    first += noise.encrypt(request)

    second = x25519(gate_ephemeral)
    noise.mix_hash(second)
    noise.mix_key(x25519(gate_ephemeral, x25519(client_ephemeral)))  # ee
    noise.mix_key(x25519(gate_ephemeral, x25519(client)))  # se
    second += noise.encrypt(answer)
    temp = hmac.digest(noise.ck, b"", "blake2s")
    key_1 = hmac.digest(temp, b"\1", "blake2s")
    return first, second, (key_1, hmac.digest(temp, key_1 + b"\2", "blake2s"))


def frame(key, number, said):
    """A message of a conversation (section 6.10.2), of that number in its direction."""
    text, tag = seal(key, struct.pack("<IQ", 0, number), b"", said)
    return struct.pack(">H", len(text + tag)) + text + tag


# --- Ed25519 (RFC 8032), for signatures as minisign makes them (section 8.1) -------------------------------------------

D = -121665 * pow(121666, P - 2, P) % P
ORDER = 2**252 + 27742317777372353535851937790883648493


def add(one, two):
    (x1, y1), (x2, y2) = one, two
    t = D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + t, P - 2, P)
    y = (y1 * y2 + x1 * x2) * pow(1 - t, P - 2, P)
    return x % P, y % P


def times(scalar, point):
    total = (0, 1)
    for bit in bin(scalar)[2:]:
        total = add(total, total)
        if bit == "1":
            total = add(total, point)
    return total


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X2 = (BASE_Y**2 - 1) * pow(D * BASE_Y**2 + 1, P - 2, P)
ROOT = pow(BASE_X2, (P + 3) // 8, P)
ROOT = ROOT if ROOT**2 % P == BASE_X2 % P else ROOT * pow(2, (P - 1) // 4, P) % P
BASE = (min(ROOT, P - ROOT, key=lambda x: x % 2), BASE_Y)


def packed(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def ed25519(secret, message):
    """Public key and signature."""
    hashed = hashlib.sha512(secret).digest()
    scalar = int.from_bytes(hashed[:32], "little") & ~7 & (2**255 - 1) | 2**254
    number = lambda *parts: int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % ORDER
    public = packed(times(scalar, BASE))
    r = number(hashed[32:], message)
    commitment = packed(times(r, BASE))
    answer = (r + number(commitment, public, message) * scalar) % ORDER
    return public, commitment + answer.to_bytes(32, "little")


# --- Knock book (section 2) -------------------------------------------------------------------------------------------


def draws(key, number, label, bound):
    nonce, block, fair = struct.pack("<I", number) + label, 0, 2**32 - 2**32 % bound
    while True:
        for word in struct.unpack("<16I", chacha20_block(key, block, nonce)):
            if word < fair:
                yield word % bound
        block += 1


def distinct(source, count):
    drawn = []
    while len(drawn) < count:
        value = next(source)
        if value not in drawn:
            drawn.append(value)
    return drawn


def draw_decoys(seed, count, first, last):
    return sorted(first + d for d in distinct(draws(seed, 0, b"decoys\0\0", last - first + 1), count))


def draw_sequence(seed, number, length, decoys):
    return [decoys[d] for d in distinct(draws(seed, number, b"sequence", len(decoys)), length)]


# --- Serialisation (section 1.2), files (section 8) -------------------------------------------------------------------


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


NONE = b"\0"


def some(value):
    return b"\1" + value


def text(value):
    return varint(len(value)) + value.encode()


def items(*content):
    return varint(len(content)) + b"".join(content)


def file(mark, version, content):
    checked = mark + bytes([version]) + content
    return checked + blake2s(checked)[:8]


# --- The examples -----------------------------------------------------------------------------------------------------


def count_from(start, length=32):
    return bytes((start + i) % 256 for i in range(length))


DOOR_KEY, GATE, CLIENT = count_from(0x00), count_from(0x20), count_from(0x40)
CLIENT_EPHEMERAL, GATE_EPHEMERAL = count_from(0x60), count_from(0x80)
GATE_ID, BOOK_ID = count_from(0xA0, 16), count_from(0xB0, 8)
DECOY_SEED, BOOK_SEED = count_from(0xC0), count_from(0xE0)
REQUEST_NONCE, ANSWER_NONCE = count_from(0x01, 24), count_from(0x81, 24)

BOOK = BOOK_ID + varint(1000) + bytes([6]) + varint(100) + varint(10000) + varint(32767) + DECOY_SEED + BOOK_SEED
SSH, DNS = varint(1) + text("ssh") + varint(0) + varint(22), varint(2) + text("dns") + varint(1) + varint(53)
SSH_HOSTS = some(bytes([192, 0, 2, 100])) + some(bytes.fromhex("20010db8000000000000000000000100"))
SERVICES, SERVICES_V2 = items(SSH + SSH_HOSTS, DNS + NONE + NONE), items(SSH, DNS)
ADDRESS = text("alice") + text("gate.example") + varint(62201)
PACKET_PORTS = some(varint(60_000) + varint(65_535))
KEYS = GATE_ID + x25519(GATE) + DOOR_KEY
PROFILE = ADDRESS + PACKET_PORTS + KEYS + some(CLIENT) + SERVICES + BOOK
PROFILE_WITHOUT_SECRET = ADDRESS + PACKET_PORTS + KEYS + NONE + SERVICES + BOOK
PROFILE_V2 = ADDRESS + PACKET_PORTS + KEYS + some(CLIENT) + SERVICES_V2 + BOOK
PROFILE_V2_WITHOUT_SECRET = ADDRESS + PACKET_PORTS + KEYS + NONE + SERVICES_V2 + BOOK
PROFILE_V1 = ADDRESS + KEYS + CLIENT + SERVICES_V2 + BOOK
SOURCE = some(bytes([0, 192, 0, 2, 7]))
TOKEN = count_from(0x70, 8)
REQUEST = bytes([2]) + varint(1_700_000_000_000_000) + varint(1) + varint(3600) + SOURCE
OPEN = bytes([3]) + REQUEST[1:] + varint(0) + some(varint(123_456)) + some(TOKEN) + varint(1)
RENEW = bytes([4]) + varint(301) + varint(0) + varint(600) + NONE + varint(7)
CLOSE = bytes([5]) + varint(302) + varint(1)
ANSWER = (
    varint(1) + varint(0) + varint(1_700_000_000_012_345) + varint(958)
    + bytes([1]) + BOOK_ID + varint(41) + varint(10_000) + varint(0) + varint(0) + varint(15)
    + varint(1) + varint(1) + varint(58_000) + varint(7)
)
ANSWER_WITH_DOOR_KEY = (
    varint(2) + varint(0) + varint(1_700_000_000_012_345) + varint(958) + NONE
    + varint(1) + varint(1) + varint(58_000) + varint(7)
    + SOURCE + some(count_from(0x20))
)
CONFIRM = varint(5) + TOKEN + bytes(5) + SOURCE
CLOSED = varint(6) + bytes(5) + some(bytes.fromhex("0120010db8000000000000000000000007"))

# A conversation with the console: its request, its answer, what is said.
CONSOLE = bytes([6]) + varint(1_700_000_000_000_000) + varint(3)
WELCOME = (
    varint(2) + varint(0) + varint(1_700_000_000_012_345) + varint(958) + NONE
    + varint(1) + varint(3) + varint(58_000) + varint(9) + SOURCE
)
ASKS = (
    ("status", b"\0"),
    ("log after 41", b"\1" + varint(41)),
    ("time", b"\2" + varint(1_700_000_000_000_000)),
    ("update of 40 000 bytes", b"\3" + varint(40_000)),
    ("piece", b"\4" + varint(992) + varint(3) + b"\1\2\3"),
    ("finish", b"\5"),
)
STATUS = (
    varint(7) + varint(4) + varint(86_400) + varint(2) + varint(300) + varint(90_000) + varint(101_000) + varint(458_752)
)
TELLS = (
    ("status", b"\0" + STATUS),
    ("record 42", b"\1" + varint(42) + text("{}")),
    ("end, 3 were lost", b"\2" + varint(3)),
    ("next piece at 992", b"\3" + varint(992)),
    ("done", b"\4"),
    ("refused", b"\5" + text("no room")),
)

# A site: two services, of which one is the console, one client, his book, one policy.
OWNER, OWNER_ID = count_from(0x10), count_from(0x90, 8)
HEAD = (
    varint(4) + varint(1_700_000_000_000_000) + text("lab") + GATE_ID + GATE + items(DOOR_KEY) + DECOY_SEED
    + varint(1000) + bytes([6]) + varint(100) + varint(10_000) + varint(32_767)
    + varint(0) + varint(0) + varint(10_000) + bytes([2]) + varint(60) + varint(0) + NONE
    + some(bytes([192, 0, 2, 1, 24]) + some(bytes([192, 0, 2, 254])))
    + some(bytes.fromhex("20010db8000000000000000000000001") + bytes([64]) + NONE)
    + some(varint(62_201)) + varint(1) + items(varint(60_000) + varint(65_535)) + some(varint(3) + varint(2_222))
)
SITE_SERVICES = items(
    varint(1) + varint(60) + varint(0) + varint(3_600) + varint(0) + bytes([1, 0, 0]) + some(bytes([24, 64]))
    + text("ssh") + varint(0) + items(varint(22)) + items(bytes([0, 192, 0, 2, 10])),
    varint(3) + varint(60) + varint(0) + varint(600) + varint(0) + bytes([0, 1, 0]) + NONE
    + text("console") + varint(0) + items(varint(2_222)) + items(),
)
SITE_CLIENTS = items(
    varint(1) + text("alice") + x25519(CLIENT) + items(varint(1), varint(3)) + BOOK_ID + NONE
    + some(varint(1_800_000_000_000_000)) + b"\0" + some(count_from(0x50, 20))
)
RIGHTS, COMPILED = bytes.fromhex("0102"), b"compiled"
SITE_POLICIES = items(text("hours") + varint(len(RIGHTS)) + RIGHTS + varint(len(COMPILED)))


def filled(data):
    return data + bytes(-len(data) % 16)


def site():
    content = HEAD + SITE_SERVICES + SITE_CLIENTS + items(BOOK) + SITE_POLICIES
    code = filled(COMPILED)
    length = len(filled(bytes(16) + content)) + len(code)
    return filled(b"KGsi\1\0\0\0" + struct.pack("<II", len(content), length) + content) + code


def signed(image):
    _, signature = ed25519(OWNER, hashlib.blake2b(image).digest())
    return image + b"ED" + OWNER_ID + signature


def show(title, data):
    print(title, f"({len(data)} bytes)")
    for at in range(0, len(data), 32):
        print("   ", data[at : at + 32].hex())


def check_the_tools():
    """Published vectors, so that a mistake here is not taken for one there."""
    stream = "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
    assert chacha20_block(bytes(32), 0, bytes(12)).hex().startswith(stream)  # RFC 8439, A.1, 1
    shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
    alice = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    bob = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
    assert x25519(alice, bob).hex() == shared  # RFC 7748, 6.1
    secret = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    public, signature = ed25519(secret, b"\x72")  # RFC 8032, 7.1, test 2
    assert public.hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    assert signature.hex().startswith("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da")
    poem = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
            b"sunscreen would be it.")
    _, tag = xseal(count_from(0x80), count_from(0x40, 24), bytes.fromhex("50515253c0c1c2c3c4c5c6c7"), poem)
    assert tag.hex() == "c0875924c1c7987947deafd8780acf49"  # draft-irtf-cfrg-xchacha-03, A.3.1


def main():
    check_the_tools()
    decoys = draw_decoys(DECOY_SEED, 100, 10000, 32767)
    print("decoys, the first ten:", decoys[:10])
    for number in (0, 1, 41, 999):
        print(f"sequence {number}:", draw_sequence(BOOK_SEED, number, 6, decoys))
    show("book file", file(b"KGbk", 1, BOOK))
    show("profile file", file(b"KGpr", 3, PROFILE))
    show("profile file without a secret", file(b"KGpr", 3, PROFILE_WITHOUT_SECRET))
    show("profile file of the second version", file(b"KGpr", 2, PROFILE_V2))
    show("profile file of the second version without a secret", file(b"KGpr", 2, PROFILE_V2_WITHOUT_SECRET))
    show("profile file of the first version", file(b"KGpr", 1, PROFILE_V1))

    request, answer = REQUEST.ljust(64, b"\0"), ANSWER.ljust(112, b"\0")
    show("public key of the gate", x25519(GATE))
    show("public key of the client", x25519(CLIENT))
    show("request, without its zeros", REQUEST)
    show("answer, without its zeros", ANSWER)
    for title, payload in (
        ("open request", OPEN), ("renew request", RENEW), ("close request", CLOSE),
        ("answer with a door key", ANSWER_WITH_DOOR_KEY), ("confirm answer", CONFIRM), ("closed answer", CLOSED),
    ):
        show(f"{title}, without the zeros that fill it up", payload)
    first, second, _ = handshake(
        b"knockgate/1" + GATE_ID, GATE, CLIENT, CLIENT_EPHEMERAL, GATE_EPHEMERAL, request, answer
    )
    show("first Noise message", first)
    show("second Noise message", second)
    for title, nonce, way, inner in (
        ("request as it travels", REQUEST_NONCE, b"Q", first),
        ("answer as it travels", ANSWER_NONCE, b"A", second),
    ):
        sealed, tag = xseal(DOOR_KEY, nonce, b"knockgate/1" + way + GATE_ID, inner)
        show(title, nonce + tag + sealed)

    show("console request, without the zeros that fill it up", CONSOLE)
    show("welcome, without the zeros that fill it up", WELCOME)
    _, _, (clients, gates) = handshake(
        b"knockgate/1" + GATE_ID, GATE, CLIENT, CLIENT_EPHEMERAL, GATE_EPHEMERAL,
        CONSOLE.ljust(64, b"\0"), WELCOME.ljust(112, b"\0"),
    )
    show("the client's first message, asking for the status", frame(clients, 0, ASKS[0][1]))
    show("the gate's first message, the status", frame(gates, 0, TELLS[0][1]))
    show("the client's second message, asking for the log", frame(clients, 1, ASKS[1][1]))
    for title, said in ASKS:
        show(f"ask: {title}", said)
    for title, said in TELLS:
        show(f"tell: {title}", said)
    show("site image with its signature", signed(site()))
    show("owner", file(b"KGow", 1, OWNER_ID + ed25519(OWNER, b"")[0]))


if __name__ == "__main__":
    main()
