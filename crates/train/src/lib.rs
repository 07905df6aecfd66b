//! underpin-train
