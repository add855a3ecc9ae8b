//! Reading transparent files (READ BINARY, ISO/IEC 7816-4 clause 7.2.3).
