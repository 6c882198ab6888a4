//! Options that others fill in, and that get more with time.

/// A struct of options to which fields can be added without breaking whoever uses it: nobody outside its crate can name
/// all of them. Each field is public, and has a method of its own name that sets it. Write `#[non_exhaustive]` on it.
///
/// ```
/// azuring_plan::growing! {
///     /// How to wait.
///     #[derive(Default)]
///     #[non_exhaustive]
///     pub struct Patience {
///         /// Seconds.
///         pub seconds: u32,
///         /// Say so.
///         pub aloud: bool,
///     }
/// }
/// let patience = Patience::default().seconds(3).aloud(true);
/// assert_eq!((patience.seconds, patience.aloud), (3, true));
/// ```
#[macro_export]
macro_rules! growing {
    ($(#[$of:meta])* pub struct $name:ident { $($(#[$about:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$of])*
        pub struct $name {
            $($(#[$about])* pub $field: $type,)*
        }

        impl $name {
            $(
                $(#[$about])*
                #[must_use]
                pub fn $field(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )*

            /// All fields in their order, for whoever has to deal with each of them: one more does not compile there.
            #[doc(hidden)]
            #[allow(clippy::type_complexity, reason = "as many as there are fields")]
            pub fn into_fields(self) -> ($($type,)*) {
                ($(self.$field,)*)
            }
        }
    };
}
