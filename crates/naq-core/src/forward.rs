//! How ports are forwarded through `Arc` and `Box`.

/// Forwards async methods of a port to what the pointer points at.
///
/// Returns the inner boxed future as it is; an `async fn` would box a second
/// one. Each line names the lifetimes of its borrowed arguments in order:
/// `fetch['a, 'b](stream: &'a str, consumer: &'b str) -> Result<()>;`
macro_rules! forward_async {
    ($($name:ident[$($life:lifetime),*]($($arg:ident: $type:ty),* $(,)?) -> $out:ty;)*) => {$(
        fn $name<'s, $($life,)* 'f>(
            &'s self,
            $($arg: $type),*
        ) -> std::pin::Pin<Box<dyn std::future::Future<Output = $out> + Send + 'f>>
        where
            's: 'f,
            $($life: 'f,)*
            Self: 'f,
        {
            (**self).$name($($arg),*)
        }
    )*};
}

/// Forwards plain methods of a port to what the pointer points at.
macro_rules! forward_plain {
    ($($name:ident($($arg:ident: $type:ty),* $(,)?) -> $out:ty;)*) => {$(
        fn $name(&self, $($arg: $type),*) -> $out {
            (**self).$name($($arg),*)
        }
    )*};
}

/// Implements a port for `Arc<T>` and `Box<T>` of whatever implements it.
macro_rules! forward_port {
    ($port:ident { plain { $($plain:tt)* } boxed { $($boxed:tt)* } }) => {
        impl<T: $port + ?Sized> $port for std::sync::Arc<T> {
            forward_plain! { $($plain)* }
            forward_async! { $($boxed)* }
        }

        impl<T: $port + ?Sized> $port for Box<T> {
            forward_plain! { $($plain)* }
            forward_async! { $($boxed)* }
        }
    };
}
