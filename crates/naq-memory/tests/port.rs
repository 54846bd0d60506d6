//! The port as its users see it: what is stored, told, read and refused.

mod port {
    mod publish;
    mod read;
}
