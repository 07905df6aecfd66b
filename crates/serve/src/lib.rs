//! underpin-serve
