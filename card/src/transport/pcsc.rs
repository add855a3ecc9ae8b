//! Readers of the PC/SC service.
