//! Pointers of the caller, made safe to handle.
//!
//! A PKCS#11 caller hands over addresses and lengths (PKCS#11 v3.1 clause 5.1.6, CKR_ARGUMENTS_BAD). They are wrapped once, in
//! the generated entry functions of [`super::table`]; everything behind works with [`Ptr`], whose methods refuse what
//! can be recognised as wrong (NULL, misaligned, longer than memory can be) and copy by value, so that no reference
//! to the caller's memory outlives a call and packed structures (Windows) are no trap.

use std::ffi::c_void;
use std::marker::PhantomData;

use cryptoki_sys::{
    CK_ATTRIBUTE, CK_ATTRIBUTE_TYPE, CK_ECDH1_DERIVE_PARAMS, CK_MECHANISM, CK_MECHANISM_TYPE, CK_NOTIFY,
    CK_ULONG, CK_UNAVAILABLE_INFORMATION,
};

use crate::error::{Error, Result};
use crate::token::{Agreement, Output, Room};

/// More elements than any caller of this module has a use for; keeps allocations bounded.
const MAX_TEMPLATE: usize = 1024;

/// An address given by the caller: NULL, or valid for reading and writing during the call.
pub(crate) struct Ptr<'call, T> {
    address: *mut T,
    call: PhantomData<&'call mut T>,
}

// Derived versions would ask for `T: Copy`.
impl<T> Clone for Ptr<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Ptr<'_, T> {}

impl<T> Ptr<'_, T> {
    /// Wraps an address.
    ///
    /// # Safety
    /// It is NULL or points to memory that stays valid for reading and writing for `'call`; for a buffer, as many
    /// elements as the caller says in the argument that belongs to it.
    pub(crate) unsafe fn new(address: *mut T) -> Self {
        Ptr { address, call: PhantomData }
    }

    /// Whether the caller passed NULL.
    pub(crate) fn is_null(self) -> bool {
        self.address.is_null()
    }

    /// Refuses NULL and addresses that cannot hold a `T`.
    pub(crate) fn check(self) -> Result<()> {
        if self.address.is_null() || !self.address.is_aligned() {
            return Err(Error::ArgumentsBad);
        }
        Ok(())
    }
}

impl<'call, T: Copy> Ptr<'call, T> {
    /// Reads the value behind the pointer.
    pub(crate) fn read(self) -> Result<T> {
        self.check()?;
        // SAFETY: checked above for NULL and alignment; valid by the contract of `new`.
        Ok(unsafe { self.address.read() })
    }

    /// Writes a value.
    pub(crate) fn write(self, value: T) -> Result<()> {
        self.check()?;
        // SAFETY: as in `read`.
        unsafe { self.address.write(value) };
        Ok(())
    }

    /// The caller's `length` elements. NULL is an empty slice if the length is 0.
    pub(crate) fn slice(self, length: CK_ULONG) -> Result<&'call [T]> {
        if length == 0 {
            return Ok(&[]);
        }
        self.check()?;
        let length = usize::try_from(length).map_err(|_| Error::ArgumentsBad)?;
        length
            .checked_mul(size_of::<T>())
            .filter(|bytes| isize::try_from(*bytes).is_ok())
            .ok_or(Error::ArgumentsBad)?;
        // SAFETY: not NULL, aligned, no longer than an allocation can be; valid by the contract of `new`. The module
        // writes to the caller's memory only through `write` and `write_all`, after the slice's last use.
        Ok(unsafe { std::slice::from_raw_parts(self.address, length) })
    }

    /// Copies all `values` to the caller's buffer, whose room has been checked.
    pub(crate) fn write_all(self, values: &[T]) -> Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        self.check()?;
        // SAFETY: the caller gave room for this many elements; `values` is our own memory and does not overlap it.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), self.address, values.len()) };
        Ok(())
    }
}

impl<'call> Ptr<'call, c_void> {
    /// The same address as that of a `T`.
    pub(crate) fn cast<T: Copy>(self) -> Ptr<'call, T> {
        Ptr { address: self.address.cast(), call: PhantomData }
    }
}

impl Ptr<'_, u8> {
    /// Whether the NUL-terminated text equals `expected`, which includes its NUL. Reads no further than the first
    /// difference.
    pub(crate) fn is_text(self, expected: &[u8]) -> Result<bool> {
        self.check()?;
        // SAFETY: all bytes before this one were equal and none of them was the terminating NUL, so the caller's
        // text goes on here.
        Ok(expected
            .iter()
            .enumerate()
            .all(|(index, byte)| *byte == unsafe { self.address.add(index).read() }))
    }

    /// A NUL-terminated UTF-8 text without control characters but white space. Anything else, and a text longer than
    /// `at_most`, is none.
    pub(crate) fn text(self, at_most: usize) -> Option<String> {
        self.check().ok()?;
        let mut text = Vec::new();
        for index in 0..at_most {
            // SAFETY: no byte so far was the terminating NUL, so the caller's text goes on here.
            match unsafe { self.address.add(index).read() } {
                0 => return String::from_utf8(text).ok(),
                byte @ (b' '..=b'~' | b'\t' | b'\n' | b'\r' | 0x80..) => text.push(byte),
                _ => return None,
            }
        }
        None
    }
}

/// Answers a list in the two-call pattern (clause 5.2): NULL asks for the length, too little room is answered with
/// the length and CKR_BUFFER_TOO_SMALL.
pub(crate) fn write_list<T: Copy>(list: &[T], out: Ptr<'_, T>, count: Ptr<'_, CK_ULONG>) -> Result<()> {
    let room = count.read()?;
    let length = CK_ULONG::try_from(list.len()).map_err(|_| Error::HostMemory)?;
    count.write(length)?;
    if out.is_null() {
        return Ok(());
    }
    if room < length {
        return Err(Error::BufferTooSmall);
    }
    out.write_all(list)
}

/// Answers with an output (clause 5.2). `make` gets the room that the caller gave, `None` if he only asks how much is
/// needed. A length is the whole answer to that question, and an error for a caller who gave too little room.
pub(crate) fn output(
    out: Ptr<'_, u8>,
    length: Ptr<'_, CK_ULONG>,
    make: impl FnOnce(Room) -> Result<Output>,
) -> Result<()> {
    let room = length.read()?;
    let room = (!out.is_null()).then_some(room);
    let write = |bytes: &[u8]| {
        out.write_all(bytes)?;
        length.write(bytes.len() as CK_ULONG)
    };
    match make(room)? {
        Output::Bytes(bytes) => write(&bytes),
        Output::Secret(bytes) => write(&bytes),
        Output::Length(needed) => {
            length.write(needed as CK_ULONG)?;
            if room.is_none() { Ok(()) } else { Err(Error::BufferTooSmall) }
        }
    }
}

/// One element of a template.
pub(crate) struct TemplateEntry<'call> {
    place: Ptr<'call, CK_ATTRIBUTE>,
    raw: CK_ATTRIBUTE,
}

impl<'call> Ptr<'call, CK_ATTRIBUTE> {
    /// The attributes of a template.
    pub(crate) fn template(self, count: CK_ULONG) -> Result<Vec<TemplateEntry<'call>>> {
        let entries = self.slice(count)?;
        if entries.len() > MAX_TEMPLATE {
            return Err(Error::ArgumentsBad);
        }
        Ok(entries
            .iter()
            .enumerate()
            .map(|(index, raw)| TemplateEntry {
                // SAFETY: `index` is inside the slice just taken from this address.
                place: unsafe { Ptr::new(self.address.add(index)) },
                raw: *raw,
            })
            .collect())
    }
}

impl<'call> TemplateEntry<'call> {
    /// The attribute asked for.
    pub(crate) fn kind(&self) -> CK_ATTRIBUTE_TYPE {
        self.raw.type_
    }

    /// The value in a search template.
    pub(crate) fn value(&self) -> Result<&'call [u8]> {
        self.buffer().slice(self.raw.ulValueLen)
    }

    /// Answers with a value: its length only, if the caller passed no buffer (clause 5.7.5).
    pub(crate) fn answer(&self, value: &[u8]) -> Result<()> {
        let length = CK_ULONG::try_from(value.len()).map_err(|_| Error::HostMemory)?;
        if self.raw.pValue.is_null() {
            return self.answer_length(length);
        }
        if self.raw.ulValueLen < length {
            self.answer_length(CK_UNAVAILABLE_INFORMATION)?;
            return Err(Error::BufferTooSmall);
        }
        self.buffer().write_all(value)?;
        self.answer_length(length)
    }

    /// Answers that there is no value to be had.
    pub(crate) fn answer_unavailable(&self) -> Result<()> {
        self.answer_length(CK_UNAVAILABLE_INFORMATION)
    }

    fn answer_length(&self, length: CK_ULONG) -> Result<()> {
        self.place.write(CK_ATTRIBUTE { ulValueLen: length, ..self.raw })
    }

    fn buffer(&self) -> Ptr<'call, u8> {
        // SAFETY: the caller promises `ulValueLen` bytes at `pValue` (clause 3.4), or NULL.
        unsafe { Ptr::new(self.raw.pValue.cast()) }
    }
}

/// A mechanism with the bytes of its parameter.
pub(crate) struct MechanismArgument<'call> {
    /// CKM_...
    pub(crate) kind: CK_MECHANISM_TYPE,
    /// Empty if there is none.
    pub(crate) parameter: &'call [u8],
}

impl<'call> Ptr<'call, CK_MECHANISM> {
    /// Reads mechanism and parameter.
    pub(crate) fn mechanism(self) -> Result<MechanismArgument<'call>> {
        let raw = self.read()?;
        // SAFETY: the caller promises `ulParameterLen` bytes at `pParameter` (clause 3.5), or NULL.
        let parameter: Ptr<'call, u8> = unsafe { Ptr::new(raw.pParameter.cast()) };
        let parameter = parameter.slice(raw.ulParameterLen).map_err(|_| Error::MechanismParamInvalid)?;
        Ok(MechanismArgument { kind: raw.mechanism, parameter })
    }

    /// Reads the parameter of CKM_ECDH1_DERIVE (clause 6.3.17) and what it points to.
    pub(crate) fn agreement(self) -> Result<Agreement<'call>> {
        let raw = self.read()?;
        if usize::try_from(raw.ulParameterLen) != Ok(size_of::<CK_ECDH1_DERIVE_PARAMS>()) {
            return Err(Error::MechanismParamInvalid);
        }
        // SAFETY: the caller promises `ulParameterLen` bytes at `pParameter` (clause 3.5), or NULL.
        let parameter: Ptr<'call, CK_ECDH1_DERIVE_PARAMS> = unsafe { Ptr::new(raw.pParameter.cast()) };
        let inner = parameter.read().map_err(|_| Error::MechanismParamInvalid)?;
        let bytes = |address: *mut u8, length| {
            // SAFETY: the caller promises so many bytes at this address, or NULL.
            let bytes: Ptr<'call, u8> = unsafe { Ptr::new(address) };
            bytes.slice(length).map_err(|_| Error::MechanismParamInvalid)
        };
        Ok(Agreement {
            kdf: inner.kdf,
            shared: bytes(inner.pSharedData, inner.ulSharedDataLen)?,
            public: bytes(inner.pPublicData, inner.ulPublicDataLen)?,
        })
    }
}

/// How an argument of a C function becomes an argument of its Rust counterpart.
pub(crate) trait Incoming {
    /// What the Rust side gets.
    type Argument;

    /// Converts it.
    ///
    /// # Safety
    /// Pointers satisfy the contract of [`Ptr::new`] for the duration of the call.
    unsafe fn into_argument(self) -> Self::Argument;

    /// The number a trace may show: handles and ids, nothing that is a pointer.
    fn traced(&self) -> Option<u64> {
        None
    }
}

impl<T: 'static> Incoming for *mut T {
    type Argument = Ptr<'static, T>;

    unsafe fn into_argument(self) -> Self::Argument {
        // SAFETY: handed on to our caller. The lifetime is the call's: no `Ptr` is stored anywhere.
        unsafe { Ptr::new(self) }
    }
}

impl Incoming for CK_ULONG {
    type Argument = CK_ULONG;

    unsafe fn into_argument(self) -> CK_ULONG {
        self
    }

    #[allow(clippy::useless_conversion)] // 32 bits wide on some targets
    fn traced(&self) -> Option<u64> {
        Some((*self).into())
    }
}

impl Incoming for u8 {
    type Argument = u8;

    unsafe fn into_argument(self) -> u8 {
        self
    }
}

/// Session callbacks are never called (clause 5.6.1 leaves that to the token); the argument is dropped here.
impl Incoming for CK_NOTIFY {
    type Argument = ();

    unsafe fn into_argument(self) {}
}

/// An argument without a type of its own, such as the reserved ones.
pub(crate) type Reserved<'call> = Ptr<'call, c_void>;

#[cfg(test)]
mod tests {
    use super::*;

    fn ptr<T: Copy>(value: &mut T) -> Ptr<'_, T> {
        // SAFETY: borrowed for the lifetime of the result.
        unsafe { Ptr::new(value) }
    }

    fn null<T: Copy>() -> Ptr<'static, T> {
        // SAFETY: NULL is allowed.
        unsafe { Ptr::new(std::ptr::null_mut()) }
    }

    #[test]
    fn null_is_an_empty_slice_only_for_length_zero() {
        assert!(null::<u8>().slice(0).unwrap().is_empty());
        assert!(matches!(null::<u8>().slice(1), Err(Error::ArgumentsBad)));
        assert!(matches!(null::<u8>().read(), Err(Error::ArgumentsBad)));
        assert!(matches!(null::<u8>().write(1), Err(Error::ArgumentsBad)));
    }

    #[test]
    fn misaligned_addresses_are_refused() {
        let mut numbers = [0u64; 2];
        let odd = numbers.as_mut_ptr().cast::<u8>().wrapping_add(1).cast::<u64>();
        // SAFETY: inside `numbers`; the methods refuse to touch it.
        let odd = unsafe { Ptr::<u64>::new(odd) };
        assert!(matches!(odd.read(), Err(Error::ArgumentsBad)));
        assert!(matches!(odd.slice(1), Err(Error::ArgumentsBad)));
    }

    #[test]
    fn lengths_beyond_memory_are_refused() {
        let mut one = 0u64;
        assert!(matches!(ptr(&mut one).slice(CK_ULONG::MAX), Err(Error::ArgumentsBad)));
        assert!(matches!(ptr(&mut one).slice(CK_ULONG::MAX / 8), Err(Error::ArgumentsBad)));
    }

    #[test]
    fn short_list_buffer_gets_the_count_and_nothing_else() {
        let mut buffer = [7u64; 2];
        let mut count: CK_ULONG = 2;
        let out = ptr(&mut buffer[0]);
        assert!(matches!(write_list(&[1u64, 2, 3], out, ptr(&mut count)), Err(Error::BufferTooSmall)));
        assert_eq!((count, buffer), (3, [7, 7]));
    }

    #[test]
    fn texts_end_at_nul_and_are_printable() {
        let mut text = *b"config=/etc/x\0rest";
        assert_eq!(ptr(&mut text[0]).text(64).as_deref(), Some("config=/etc/x"));
        assert_eq!(ptr(&mut text[0]).text(5), None);
        let mut path = *b"config=/M\xC3\xBCller/x\tqes=off\0";
        assert_eq!(ptr(&mut path[0]).text(64).as_deref(), Some("config=/Müller/x\tqes=off"));
        assert_eq!(ptr(&mut path[10]).text(64), None, "half a character");
        let mut binary = *b"ab\x01c\0";
        assert_eq!(ptr(&mut binary[0]).text(64), None);
        assert_eq!(null::<u8>().text(64), None);
    }

    #[test]
    fn attribute_answers_follow_the_two_call_pattern() {
        let mut buffer = [0u8; 2];
        let mut raw = CK_ATTRIBUTE { type_: 3, pValue: std::ptr::null_mut(), ulValueLen: 0 };
        ptr(&mut raw).template(1).unwrap()[0].answer(b"abc").unwrap();
        assert_eq!(raw.ulValueLen, 3);

        raw = CK_ATTRIBUTE { type_: 3, pValue: buffer.as_mut_ptr().cast(), ulValueLen: 2 };
        assert!(matches!(ptr(&mut raw).template(1).unwrap()[0].answer(b"abc"), Err(Error::BufferTooSmall)));
        assert_eq!((raw.ulValueLen, buffer), (CK_UNAVAILABLE_INFORMATION, [0, 0]));

        raw.ulValueLen = 2;
        ptr(&mut raw).template(1).unwrap()[0].answer(b"ab").unwrap();
        assert_eq!((raw.ulValueLen, buffer), (2, *b"ab"));
    }
}
