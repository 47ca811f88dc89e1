"""The worked examples of the language (reference gateway, section 2.6), as texts to read, print and mutate."""

SCRIPTS = (
    "let x = 1; let y = x + 2; y",
    "let x = 1; let z = {foo : x}; let x = x + 2u64; { bar: x, baz: z }",
    ('let x = "foo"; let y = "bar"; let z = {foo: "baz"}; let n: u32 = 42; let result = "${x}-${y}-${z}-${n}"; result'),
    "let x: list<u8> = [1, 2]; reduce z, a in x from 0u8 { yield z + a; }",
    "let x: list<u8> = []; reduce z, a in x from 0u8 { yield z + a; }",
    (
        'let x = ["foo","bar"]; reduce z, a in x from "" { let result = if z == "" then a else "${z}, '
        '${a}"; yield result; }'
    ),
    (
        'let x = [{name: "foo", age: 1u64}, {name: "bar", age: 2u64}]; let names = for i in x { yield '
        'i.name; }; reduce z, a in names from "" { let result = if z == "" then a else "${z}, ${a}"; '
        "yield result; }"
    ),
    'let x = ["foo","bar"]; for i in x { yield i; }',
    "let x: option<option<u64>> = none; match x { some(some(t)) => t, some(none) => 0u64, none => 0u64 }",
    (
        'let x: tuple<u64, option<string>, string> = (1, some("foo"), "bar"); match x { (x, none, z) => '
        '"${x} ${z}", (x, some(y), z) => "${x} ${y} ${z}" }'
    ),
    'let x = 1; match x { 1 => ok(1), 2 => err("none") }',
    'let x = some({foo: 1}); match x { some(x) => ok(x.foo), none => err("none") }',
    (
        'let worker = instance("w"); let result = worker.get[golem:it](); match result { ok(result) => { body: '
        "result, status: 200 }, err(result) => { status: 400, body: 400 } }"
    ),
    "let list: list<u8> = [1,2,3,4,5]; let index: u8 = 4; list[index]",
    "let list: list<u8> = [1,2,3,4,5]; let index: u8 = 10; list[index]",
    "let list: list<u8> = [2,5,4]; let x: u8 = 0; let y: u8 = 2; list[x..=y]",
    "let list: list<u8> = [2,5,4,6]; let result = list[0..2]; for i in result[0..2] { yield i; }",
    ("let list: list<u8> = [2,5,4,6]; let x: u8 = 0; let result = list[x..]; for i in result[x..] { yield i; }"),
    "let x = 1..; x",
    "let y = 1 + 10; 1..y",
    "let range = 1..=5; for i in range { yield i; }",
    "let range = 1..; for i in range { yield i; }",
    "let initial = 1; let final = 5; let x = initial..final; reduce z, a in x from 0u8 { yield z + a; }",
    (
        "let res1: u32 = request.path.user-id; let res2 = request.headers.name; let res3: u32 = "
        'request.headers.age; let res4 = res1 + res3; "${res4}-${res2}"'
    ),
    'let worker = instance("my-worker"); let result = worker.pass-through(42, 43); result',
    'let worker = instance("my-worker"); for i in [1, 2, 3] { worker.foo("${i}"); yield i; }',
    (
        'let a = "p1"; let b = "n1"; let c = 1; let d = 1; let worker = instance("my-worker"); let cart '
        '= worker.cart("bar"); cart.add-item({product-id: a, name: b, quantity: c, price: d}); '
        "cart.remove-item(a); let result = cart.get-cart-contents(); cart.drop(); result"
    ),
    "let x = x; let y = x; let a = instance(); let result1 = a.add-enum(x, y); result1",
    (
        'let id: u64 = request.path.user-id; let worker-name = "shopping-cart-${id}"; let '
        'worker-instance = instance(worker-name); let response = worker-instance.get-cart-contents("a", '
        '"b"); response'
    ),
    (
        'let userid = request.path.user-id; let res = if userid == "john" then 1:u64 else 0: u64; let '
        'worker = instance("shopping-cart-${res}"); let response = worker.get-cart-contents("a", "b"); '
        "response"
    ),
    (
        'let worker = instance("w"); let result = worker.currency(); let name = "john"; match result { '
        "ok(currency) => { status: 200, body: currency, headers: { user: name } }, err(error) => { "
        'status: 400, body: "Failed to get currency: ${error}" } }'
    ),
)
