//! underpin-privacy
