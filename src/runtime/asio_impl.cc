// The one translation unit that holds Asio's own code: the others see declarations only, which halves their compile time.
#include <boost/asio/impl/src.hpp>
