//! What a component imports beside the interface of policies, answered with nothing.
//!
//! Every function answers the emptiest value of its type: 0, "", no elements, none, the first case of a variant; a result is
//! well. Random bytes are as many as asked for and the same every time, as they are for modules (`wasi.rs`), and `exit` ends the
//! decision as a failure. Resources can be had and dropped, and there is nothing in them.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use knockgate_policy_abi::limits::HOST_CALL_FUEL;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{LinkerInstance, Resource, ResourceType, Type, Val};
use wasmtime::{AsContextMut, Error, Result};

use crate::imports::{Call, Exited, take};

/// A resource without anything in it.
struct Nothing;

/// Binds one name of an interface. Numbers that can be negative are answered with `number`, which is how an act says that the
/// host lacks it.
pub(crate) fn bind(
    place: &mut LinkerInstance<'_, Call>,
    name: &str,
    item: &ComponentItem,
    number: i32,
) -> Result<()> {
    match item {
        ComponentItem::ComponentFunc(_) => function(place, name, number),
        ComponentItem::Resource(_) => place.resource(name, ResourceType::host::<Nothing>(), |_, _| Ok(())),
        ComponentItem::Type(_) => Ok(()),
        ComponentItem::CoreFunc(_)
        | ComponentItem::Module(_)
        | ComponentItem::Component(_)
        | ComponentItem::ComponentInstance(_) => Err(Error::msg("nothing can stand for it")),
    }
}

fn function(place: &mut LinkerInstance<'_, Call>, name: &str, number: i32) -> Result<()> {
    let function = name.to_string();
    place.func_new(name, move |mut guest, ty, params, results| {
        take(&mut guest, HOST_CALL_FUEL)?;
        match function.as_str() {
            "exit" | "exit-with-code" => return Err(Error::new(Exited)),
            "get-random-bytes" | "get-insecure-random-bytes" => {
                let count = random_count(params)?;
                take(&mut guest, count)?;
                return fill(results, random(count));
            }
            _ => {}
        }
        answer(&mut guest, &ty, results, number)
    })
}

fn answer(store: impl AsContextMut, ty: &ComponentFunc, results: &mut [Val], number: i32) -> Result<()> {
    let mut empty = Empty { store, number };
    for (place, ty) in results.iter_mut().zip(ty.results()) {
        *place = empty.value(&ty)?;
    }
    Ok(())
}

fn fill(results: &mut [Val], value: Val) -> Result<()> {
    results.first_mut().map(|place| *place = value).ok_or_else(|| Error::msg("it has no result"))
}

/// The host makes a list of them, with tens of bytes for each: what a runtime's tables need to start with is enough, and
/// nobody gets the host to spend memory and time beyond the policy's own limits.
fn random_count(params: &[Val]) -> Result<u64> {
    const MOST: u64 = 64 * 1024;
    match params {
        [Val::U64(count)] if *count <= MOST => Ok(*count),
        _ => Err(Error::msg("it wants more than 64 KiB of random bytes at once")),
    }
}

fn random(count: u64) -> Val {
    let bytes = (0..count).map(|place| Val::U8(crate::wasi::random_byte(place)));
    Val::List(bytes.collect())
}

struct Empty<S> {
    store: S,
    number: i32,
}

impl<S: AsContextMut> Empty<S> {
    fn value(&mut self, ty: &Type) -> Result<Val> {
        Ok(match ty {
            Type::Bool => Val::Bool(false),
            Type::S8 => Val::S8(0),
            Type::U8 => Val::U8(0),
            Type::S16 => Val::S16(0),
            Type::U16 => Val::U16(0),
            Type::S32 => Val::S32(self.number),
            Type::U32 => Val::U32(0),
            Type::S64 => Val::S64(0),
            Type::U64 => Val::U64(0),
            Type::Float32 => Val::Float32(0.0),
            Type::Float64 => Val::Float64(0.0),
            Type::Char => Val::Char('\0'),
            Type::String => Val::String(String::new()),
            Type::List(_) => Val::List(Vec::new()),
            Type::Map(_) => Val::Map(Vec::new()),
            Type::Option(_) => Val::Option(None),
            Type::Flags(_) => Val::Flags(Vec::new()),
            Type::Own(_) => self.resource()?,
            Type::Record(record) => {
                let field = |field: wasmtime::component::types::Field<'_>| {
                    Ok((field.name.to_string(), self.value(&field.ty)?))
                };
                Val::Record(record.fields().map(field).collect::<Result<_>>()?)
            }
            Type::Tuple(tuple) => Val::Tuple(tuple.types().map(|ty| self.value(&ty)).collect::<Result<_>>()?),
            Type::FixedLengthList(list) => {
                Val::FixedLengthList((0..list.len()).map(|_| self.value(&list.ty())).collect::<Result<_>>()?)
            }
            Type::Result(result) => Val::Result(Ok(self.payload(result.ok())?)),
            Type::Variant(variant) => {
                let case = variant.cases().next().ok_or_else(|| Error::msg("a variant without cases"))?;
                Val::Variant(case.name.to_string(), self.payload(case.ty)?)
            }
            Type::Enum(names) => {
                let name = names.names().next().ok_or_else(|| Error::msg("an enum without names"))?;
                Val::Enum(name.to_string())
            }
            Type::Borrow(_) | Type::Future(_) | Type::Stream(_) | Type::ErrorContext => {
                return Err(Error::msg("nothing can stand for what this function answers"));
            }
        })
    }

    fn payload(&mut self, ty: Option<Type>) -> Result<Option<Box<Val>>> {
        ty.map(|ty| Ok(Box::new(self.value(&ty)?))).transpose()
    }

    fn resource(&mut self) -> Result<Val> {
        let nothing = Resource::<Nothing>::new_own(0).try_into_resource_any(&mut self.store)?;
        Ok(Val::Resource(nothing))
    }
}
