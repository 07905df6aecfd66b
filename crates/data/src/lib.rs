//! underpin-data
