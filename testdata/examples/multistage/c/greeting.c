#include <stdio.h>

int main(void)
{
    puts("Hello from two compilers");
    return 0;
}
