//! [`vectorised!`]: plain loops at the speed of the machine's best vector instructions, in a build that runs on any.

/// Calls an `#[inline(always)]` function compiled for the best instruction set of the machine, chosen at run time by [`pulp`].
///
/// pulp takes closures too, but the compiler does not always inline those into the function that carries the
/// instruction set; they then run several times slower, without a warning.
macro_rules! vectorised {
    ($body:ident($($name:ident: $type:ty = $value:expr),* $(,)?)) => {{
        struct Call<'a> {
            $($name: $type,)*
            lifetime: std::marker::PhantomData<&'a ()>,
        }
        impl pulp::WithSimd for Call<'_> {
            type Output = ();
            #[inline(always)]
            fn with_simd<S: pulp::Simd>(self, _: S) {
                $body($(self.$name),*)
            }
        }
        pulp::Arch::new().dispatch(Call { $($name: $value,)* lifetime: std::marker::PhantomData })
    }};
}

pub(crate) use vectorised;
