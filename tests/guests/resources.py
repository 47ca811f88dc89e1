"""Component text of guests that use the host's resources and that offer their own."""

from tests.guests.echo import MEMORY

USES_THINGS = f"""(component
  (import "t:h/things@1.0.0" (instance $host
    (export "thing" (type $thing (sub resource)))
    (export "make" (func (param "value" u32) (result (own $thing))))
    (export "take" (func (param "thing" (own $thing))))
    (export "[method]thing.value" (func (param "self" (borrow $thing)) (result u32)))
    (export "both" (func (param "a" (borrow $thing)) (param "b" (borrow $thing)) (result u32)))
    (export "all" (func (param "things" (list (borrow $thing))) (result u32)))))
  (alias export $host "thing" (type $thing))
{MEMORY}
  (core func $make (canon lower (func $host "make")))
  (core func $take (canon lower (func $host "take")))
  (core func $value (canon lower (func $host "[method]thing.value")))
  (core func $both (canon lower (func $host "both")))
  (core func $all (canon lower (func $host "all") (memory $mem)))
  (core func $drop (canon resource.drop $thing))
  (core module $module
    (import "m" "memory" (memory 1))
    (import "h" "make" (func $make (param i32) (result i32)))
    (import "h" "take" (func $take (param i32)))
    (import "h" "value" (func $value (param i32) (result i32)))
    (import "h" "both" (func $both (param i32 i32) (result i32)))
    (import "h" "all" (func $all (param i32 i32) (result i32)))
    (import "h" "drop" (func $drop (param i32)))
    (func (export "use-both") (result i32) (local $a i32) (local $b i32) (local $found i32)
      (local.set $a (call $make (i32.const 30)))
      (local.set $b (call $make (i32.const 12)))
      (local.set $found (call $both (local.get $a) (local.get $b)))
      (call $drop (local.get $a))
      (call $take (local.get $b))
      (local.get $found))
    (func (export "use-all") (result i32) (local $found i32)
      (i32.store (i32.const 16) (call $make (i32.const 1)))
      (i32.store (i32.const 20) (call $make (i32.const 2)))
      (i32.store (i32.const 24) (call $make (i32.const 3)))
      (local.set $found (call $all (i32.const 16) (i32.const 3)))
      (call $drop (i32.load (i32.const 16)))
      (call $drop (i32.load (i32.const 20)))
      (call $drop (i32.load (i32.const 24)))
      (local.get $found))
    (func (export "spin-and-drop") (param i32) (local $i i32) (local $a i32)
      (local.set $a (call $make (i32.const 5)))
      (loop $again
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $again (i32.ne (local.get $i) (local.get 0))))
      (call $drop (local.get $a)))
    (func (export "pass-on") (param i32) (result i32) (local.get 0))
    (func (export "look") (param i32) (result i32) (local $found i32)
      (local.set $found (call $value (local.get 0)))
      (call $drop (local.get 0))
      (local.get $found)))
  (core instance $main (instantiate $module (with "m" (instance $m)) (with "h" (instance
    (export "make" (func $make)) (export "take" (func $take)) (export "value" (func $value))
    (export "both" (func $both)) (export "all" (func $all)) (export "drop" (func $drop))))))
  (func (export "use-both") (result u32) (canon lift (core func $main "use-both")))
  (func (export "use-all") (result u32) (canon lift (core func $main "use-all")))
  (func (export "spin-and-drop") (param "turns" u32) (canon lift (core func $main "spin-and-drop")))
  (func (export "pass-on") (param "t" (own $thing)) (result (own $thing)) (canon lift (core func $main "pass-on")))
  (func (export "look") (param "t" (borrow $thing)) (result u32) (canon lift (core func $main "look"))))
"""
"""Makes, lends, gives away and drops resources `thing` of the host."""

OFFERS_CARTS = """(component
  (import "dropped" (func $dropped (param "value" u32)))
  (core func $dropped (canon lower (func $dropped)))
  (core module $destroy
    (import "h" "dropped" (func $dropped (param i32)))
    (func (export "destroy") (param i32) (call $dropped (local.get 0))))
  (core instance $destroy (instantiate $destroy (with "h" (instance (export "dropped" (func $dropped))))))
  (type $cart (resource (rep i32) (dtor (core func $destroy "destroy"))))
  (type $coin (resource (rep i32)))
  (core func $new-cart (canon resource.new $cart))
  (core func $new-coin (canon resource.new $coin))
  (core module $module
    (import "h" "new-cart" (func $new-cart (param i32) (result i32)))
    (import "h" "new-coin" (func $new-coin (param i32) (result i32)))
    (func (export "cart") (param i32) (result i32) (call $new-cart (local.get 0)))
    (func (export "coin") (param i32) (result i32) (call $new-coin (local.get 0)))
    (func (export "value") (param i32) (result i32) (local.get 0))
    (func (export "pass-on") (param i32) (result i32) (local.get 0)))
  (core instance $main (instantiate $module (with "h" (instance
    (export "new-cart" (func $new-cart)) (export "new-coin" (func $new-coin))))))
  (func $cart (param "value" u32) (result (own $cart)) (canon lift (core func $main "cart")))
  (func $coin (param "value" u32) (result (own $coin)) (canon lift (core func $main "coin")))
  (func $value (param "self" (borrow $cart)) (result u32) (canon lift (core func $main "value")))
  (func $pass-on (param "cart" (own $cart)) (result (own $cart)) (canon lift (core func $main "pass-on")))
  (component $shape
    (import "cart" (type $cart (sub resource)))
    (import "coin" (type $coin (sub resource)))
    (import "new-cart" (func $new-cart (param "value" u32) (result (own $cart))))
    (import "new-coin" (func $new-coin (param "value" u32) (result (own $coin))))
    (import "value" (func $value (param "self" (borrow $cart)) (result u32)))
    (import "pass-on" (func $pass-on (param "cart" (own $cart)) (result (own $cart))))
    (export $a "cart" (type $cart))
    (export $b "coin" (type $coin))
    (export "[constructor]cart" (func $new-cart) (func (param "value" u32) (result (own $a))))
    (export "[constructor]coin" (func $new-coin) (func (param "value" u32) (result (own $b))))
    (export "[method]cart.value" (func $value) (func (param "self" (borrow $a)) (result u32)))
    (export "pass-on" (func $pass-on) (func (param "cart" (own $a)) (result (own $a)))))
  (instance $shop (instantiate $shape
    (with "cart" (type $cart)) (with "coin" (type $coin)) (with "new-cart" (func $cart))
    (with "new-coin" (func $coin)) (with "value" (func $value)) (with "pass-on" (func $pass-on))))
  (export "t:g/shop@0.1.0" (instance $shop)))
"""
"""Exports the resources `cart`, whose destructor tells the imported function `dropped`, and `coin`, which has none."""

SHOP = "t:g/shop@0.1.0"
"""The interface that `OFFERS_CARTS` exports."""
