//! The serial number of a card: EF.GDO, data object 5A (gemSpec_Karten_Fach_TIP, ISO/IEC 7816-6).
